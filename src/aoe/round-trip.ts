import { RTO_CEILING_US, RTO_FLOOR_US, RTO_INITIAL_US } from './limits.ts';

/**
 * Round-trip estimate and retransmission timeout of one path, as RFC 6298 does it. Every copy has its own tag, so every answer is an
 * exact sample and Karn's rule is not needed.
 */
export class RoundTrip {
  /** Smoothed round trip; 0 before the first sample. */
  smoothedUs = 0;
  variationUs = 0;
  /** How long to wait for the answer to a frame's first copy; see Recovery for later ones. */
  timeoutUs = RTO_INITIAL_US;
  /** Timeouts in a row without any answer in between. */
  silences = 0;

  sample(roundTripUs: number): void {
    if (this.smoothedUs === 0) {
      this.smoothedUs = roundTripUs;
      this.variationUs = roundTripUs / 2;
    } else {
      const error = roundTripUs - this.smoothedUs;
      this.smoothedUs += error / 8;
      this.variationUs += (Math.abs(error) - this.variationUs) / 4;
    }
    const timeout = this.smoothedUs + 4 * this.variationUs;
    this.timeoutUs = timeout < RTO_FLOOR_US ? RTO_FLOOR_US : timeout > RTO_CEILING_US ? RTO_CEILING_US : timeout;
    this.silences = 0;
  }
}
