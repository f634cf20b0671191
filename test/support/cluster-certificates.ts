import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Paths of a key and the certificate of it. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority of one test, in a folder. */
export class Certificates {
  readonly folder: string;
  readonly authority: Identity;

  constructor(folder: string) {
    this.folder = folder;
    // The system's own configuration would make everything a certificate authority.
    writeFileSync(this.#path('openssl.cnf'), '[req]\ndistinguished_name = name\n[name]\n');
    this.authority = this.#identity('authority', ['-subj', '/CN=authority', '-addext', 'basicConstraints=critical,CA:TRUE']);
  }

  /** Of a server at IP addresses. */
  server(name: string, addresses: readonly string[]): Identity {
    const names = addresses.map((address) => `IP:${address}`).join(',');
    return this.#signed(name, `/CN=${name}`, ['-addext', `subjectAltName=${names}`, '-addext', 'extendedKeyUsage=serverAuth']);
  }

  /** Of a kubelet, which serves with it, too. */
  node(name: string, address: string): Identity {
    return this.#signed(name, `/O=system:nodes/CN=system:node:${name}`, [
      '-addext',
      `subjectAltName=DNS:${name},IP:${address}`,
      '-addext',
      'extendedKeyUsage=clientAuth,serverAuth',
    ]);
  }

  /** Of somebody whom the API server knows by name and group. */
  client(name: string, group: string): Identity {
    return this.#signed(name, `/O=${group}/CN=${name}`, ['-addext', 'extendedKeyUsage=clientAuth']);
  }

  /** A key pair to sign and check tokens with. */
  signing(name: string): { readonly privateKey: string; readonly publicKey: string } {
    const [privateKey, publicKey] = [this.#path(`${name}.key`), this.#path(`${name}.pub`)];
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', privateKey);
    openssl('ec', '-in', privateKey, '-pubout', '-out', publicKey);
    return { privateKey, publicKey };
  }

  #signed(name: string, subject: string, words: readonly string[]): Identity {
    const { certificate, key } = this.authority;
    return this.#identity(name, ['-subj', subject, '-CA', certificate, '-CAkey', key, ...words]);
  }

  #identity(name: string, words: readonly string[]): Identity {
    const identity = { certificate: this.#path(`${name}.crt`), key: this.#path(`${name}.key`) };
    const files = ['-out', identity.certificate, '-keyout', identity.key];
    openssl('req', '-x509', '-days', '2', '-config', this.#path('openssl.cnf'), ...CURVE, ...files, ...words);
    return identity;
  }

  #path(name: string): string {
    return join(this.folder, name);
  }
}

function openssl(...words: readonly string[]): void {
  execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}
