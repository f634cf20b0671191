import { Histogram, type Registry } from 'prom-client';

/** gRPC's codes as Go spells them: dashboards and alerts for CSI are written for these. */
const CODES: Readonly<Record<string, string>> = {
  OK: 'OK',
  CANCELLED: 'Canceled',
  UNKNOWN: 'Unknown',
  INVALID_ARGUMENT: 'InvalidArgument',
  DEADLINE_EXCEEDED: 'DeadlineExceeded',
  NOT_FOUND: 'NotFound',
  ALREADY_EXISTS: 'AlreadyExists',
  PERMISSION_DENIED: 'PermissionDenied',
  RESOURCE_EXHAUSTED: 'ResourceExhausted',
  FAILED_PRECONDITION: 'FailedPrecondition',
  ABORTED: 'Aborted',
  OUT_OF_RANGE: 'OutOfRange',
  UNIMPLEMENTED: 'Unimplemented',
  INTERNAL: 'Internal',
  UNAVAILABLE: 'Unavailable',
  DATA_LOSS: 'DataLoss',
  UNAUTHENTICATED: 'Unauthenticated',
};

/** Seconds; those of kubernetes-csi's own sidecars and plugins (csi-lib-utils, metrics.go). */
const BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];

/** How a CSI call ended. */
export interface CsiOperation {
  /** With its service, e.g. `/csi.v1.Node/NodeGetInfo`. */
  readonly path: string;
  /** `OK` or gRPC's name, e.g. `NOT_FOUND`. */
  readonly code: string;
  readonly durationMs: number;
}

/** `csi_plugin_operations_seconds`: how long CSI calls take and how they end, with the names that all CSI plugins have. */
export class CsiOperations {
  readonly #seconds: Histogram<'driver_name' | 'method_name' | 'grpc_status_code'>;
  readonly #driverName: string;

  constructor(registry: Registry, driverName: string) {
    this.#driverName = driverName;
    this.#seconds = new Histogram({
      name: 'csi_plugin_operations_seconds',
      help: 'Duration of CSI calls to this plugin in seconds, by gRPC status code',
      labelNames: ['driver_name', 'method_name', 'grpc_status_code'],
      buckets: BUCKETS,
      registers: [registry],
    });
  }

  record({ path, code, durationMs }: CsiOperation): void {
    const labels = { driver_name: this.#driverName, method_name: path, grpc_status_code: CODES[code] ?? 'Unknown' };
    this.#seconds.observe(labels, durationMs / 1000);
  }
}
