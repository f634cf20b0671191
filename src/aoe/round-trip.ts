import { RTO_CEILING_US, RTO_FLOOR_US, RTO_INITIAL_US } from './limits.ts';

/**
 * Round-trip estimate and retransmission timeout of one path, as RFC 6298 does it. Every copy has its own tag, so every answer is an
 * exact sample and Karn's rule is not needed.
 */
export class RoundTrip {
  /** Smoothed round trip; 0 before the first sample. */
  smoothedUs = 0;
  variationUs = 0;
  #timeoutUs = RTO_INITIAL_US;
  #backoff = 0;

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
    this.#timeoutUs = timeout < RTO_FLOOR_US ? RTO_FLOOR_US : timeout > RTO_CEILING_US ? RTO_CEILING_US : timeout;
    this.#backoff = 0;
  }

  /** How long to wait for an answer now. */
  get timeoutUs(): number {
    const timeout = this.#timeoutUs * 2 ** this.#backoff;
    return timeout > RTO_CEILING_US ? RTO_CEILING_US : timeout;
  }

  /** Timeouts in a row. */
  get backoff(): number {
    return this.#backoff;
  }

  /** Nothing came back in time: wait twice as long next. */
  timedOut(): void {
    if (this.#backoff < 16) this.#backoff++;
  }

  /** The path is believed to work again: forget the pauses of the outage. */
  resume(): void {
    this.#backoff = 0;
  }
}
