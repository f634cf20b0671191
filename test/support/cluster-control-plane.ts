import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { ApiConnection, type ApiRequest } from '../../src/kubernetes/api-connection.ts';
import { Certificates, type Identity } from './cluster-certificates.ts';
import { kubernetesProgram } from './cluster-programs.ts';
import { eventually, TestProcess } from './faults-process.ts';

const START_MS = 40_000;
/** Nothing is to survive: etcd need not wait for a disk. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Notes each request of the driver's kinds: who, what, how it ended. */
const AUDIT_POLICY = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    resources: [{ group: aoe.csi.dev }, { group: coordination.k8s.io }]
  - level: None
`;

/** Where a control plane is, and what it is to others. */
export interface ControlPlanePlace {
  readonly address: string;
  readonly port: number;
  /** Under which it answers, too. */
  readonly otherAddresses: readonly string[];
  /** Starts a command line where the address is. */
  readonly launcher: readonly string[];
  /** What the API server is told beside what all are told. */
  readonly words: (certificates: Certificates) => readonly string[];
  /** Whether it answers, when it can't be asked from here. */
  readonly isReady?: (admin: string) => Promise<boolean>;
}

/** On a loopback address that nobody else has, without nodes. */
function loopback(): ControlPlanePlace {
  const words = (): string[] => ['--advertise-address=192.0.2.1', '--endpoint-reconciler-type=none'];
  return { address: loopbackAddress(), port: 6443, otherAddresses: [], launcher: [], words };
}

/** A request as the API server has noted it, after its end. */
export interface AuditEntry {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly userAgent: string;
  readonly objectRef: { readonly resource: string; readonly namespace: string; readonly name?: string };
  readonly responseStatus: { readonly code: number };
}

/** etcd and a Kubernetes API server; both die with the test's process. */
export class ControlPlane {
  readonly folder = mkdtempSync(join(MEMORY, `aoe-csi-cluster-${process.pid}-`));
  readonly certificates = new Certificates(this.folder);
  readonly #place: ControlPlanePlace;
  readonly #server: Identity;
  readonly #signing = this.certificates.signing('tokens');
  readonly #program = kubernetesProgram('kube-apiserver');
  /** Of an administrator. */
  readonly admin: string;
  #etcd: TestProcess | undefined;
  #apiServer: TestProcess | undefined;

  private constructor(place: ControlPlanePlace) {
    this.#place = place;
    this.#server = this.certificates.server('server', [place.address, ...place.otherAddresses]);
    this.admin = this.kubeConfig('admin', { identity: this.certificates.client('admin', 'system:masters') });
  }

  static async start(place = loopback()): Promise<ControlPlane> {
    const plane = new ControlPlane(place);
    try {
      plane.startEtcd();
      await plane.startApiServer();
      return plane;
    } catch (error) {
      await plane.end();
      throw error;
    }
  }

  get url(): string {
    return `https://${this.#place.address}:${this.#place.port}`;
  }

  /** What tokens are signed with. */
  get tokenKey(): string {
    return this.#signing.privateKey;
  }

  /**
   * Writes a kubeconfig for somebody.
   * @returns its path
   */
  kubeConfig(name: string, by: { readonly identity: Identity } | { readonly token: string }, namespace = 'default'): string {
    // With what it refers to, as machines that see other files take it, too.
    const data = (file: string): string => readFileSync(file).toString('base64');
    const user =
      'token' in by
        ? { token: by.token }
        : { 'client-certificate-data': data(by.identity.certificate), 'client-key-data': data(by.identity.key) };
    const cluster = { server: this.url, 'certificate-authority-data': data(this.certificates.authority.certificate) };
    const path = join(this.folder, `${name}-${namespace}.kubeconfig`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': name,
      clusters: [{ name, cluster }],
      users: [{ name, user }],
      contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  /** An administrator's, in a namespace. */
  adminIn(namespace: string): string {
    const identity = { certificate: join(this.folder, 'admin.crt'), key: join(this.folder, 'admin.key') };
    return this.kubeConfig('admin', { identity }, namespace);
  }

  /** An administrator's request. @throws Error unless it succeeds */
  async request(wanted: ApiRequest): Promise<unknown> {
    return this.requestBy(this.admin, wanted);
  }

  /** The same by somebody else. @param kubeConfig a path */
  async requestBy(kubeConfig: string, wanted: ApiRequest): Promise<unknown> {
    const config = new KubeConfig();
    config.loadFromFile(kubeConfig);
    const connection = new ApiConnection(config);
    try {
      const { status, body } = await connection.request(wanted);
      if (status >= 300) throw new Error(`${wanted.method} ${wanted.path}: ${status} ${JSON.stringify(body)}`);
      return body;
    } finally {
      await connection.close();
    }
  }

  /** Makes the object of a YAML file, word for word. */
  async create(path: string, file: string): Promise<void> {
    await this.request({ method: 'POST', path, body: readFileSync(file, 'utf8'), contentType: 'application/yaml' });
  }

  async createNamespace(name: string): Promise<void> {
    await this.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } });
  }

  /** Returns when it answers. */
  async startApiServer(): Promise<void> {
    const policy = join(this.folder, 'audit-policy.yaml');
    writeFileSync(policy, AUDIT_POLICY);
    const { address, port, launcher, words, isReady } = this.#place;
    const server = new TestProcess(
      'kube-apiserver',
      [
        ...launcher,
        this.#program,
        `--etcd-servers=http://${address}:2379`,
        `--bind-address=${this.#place.otherAddresses.length > 0 ? '0.0.0.0' : address}`,
        `--secure-port=${port}`,
        '--allow-privileged=true',
        '--service-cluster-ip-range=10.96.0.0/24',
        `--tls-cert-file=${this.#server.certificate}`,
        `--tls-private-key-file=${this.#server.key}`,
        `--client-ca-file=${this.certificates.authority.certificate}`,
        '--authorization-mode=Node,RBAC',
        '--allow-privileged=true',
        `--service-account-key-file=${this.#signing.publicKey}`,
        `--service-account-signing-key-file=${this.#signing.privateKey}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--audit-policy-file=${policy}`,
        `--audit-log-path=${this.#auditLog}`,
        ...words(this.certificates),
      ],
      this.folder,
    );
    this.#apiServer = server;
    await eventually('the API server to be ready', START_MS, async () => {
      if (!server.running) throw new Error(server.report);
      return isReady === undefined ? this.#isReady() : isReady(this.admin);
    });
  }

  /** The API server, to be stopped, frozen or killed. */
  get apiServer(): TestProcess {
    if (this.#apiServer === undefined) throw new Error('there is no API server');
    return this.#apiServer;
  }

  /** With what it had kept, if it ran before. */
  startEtcd(): void {
    const { address, launcher } = this.#place;
    const [client, peer] = [`http://${address}:2379`, `http://${address}:2380`];
    this.#etcd = new TestProcess(
      'etcd',
      [
        ...launcher,
        'etcd',
        `--data-dir=${join(this.folder, 'etcd')}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
        '--unsafe-no-fsync',
        '--log-level=error',
      ],
      this.folder,
    );
  }

  /** Kills it; its data stays. */
  async endEtcd(): Promise<void> {
    await this.#etcd?.end('SIGKILL');
  }

  /** Requests to the driver's kinds that have ended so far. */
  audited(): AuditEntry[] {
    if (!existsSync(this.#auditLog)) return [];
    const lines = readFileSync(this.#auditLog, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditEntry);
  }

  /** Forgets all versions but the last: who watches from an older one is told that it has expired. */
  async compactEtcd(): Promise<void> {
    const url = `http://${this.#place.address}:2379/v3/kv`;
    const range = await postJson(`${url}/range`, { key: Buffer.from('x').toString('base64') });
    const { revision } = (range as { header: { revision: string } }).header;
    await postJson(`${url}/compaction`, { revision, physical: true });
  }

  async end(): Promise<void> {
    await this.#apiServer?.end('SIGKILL');
    await this.#etcd?.end('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #auditLog(): string {
    return join(this.folder, 'audit.log');
  }

  async #isReady(): Promise<boolean> {
    try {
      await this.request({ method: 'GET', path: '/readyz' });
      return true;
    } catch {
      return false;
    }
  }
}

/** Any of sixteen million: the ports on it are ours. */
function loopbackAddress(): string {
  const part = (): number => 1 + Math.floor(Math.random() * 254);
  return `127.${part()}.${part()}.${part()}`;
}

async function postJson(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}
