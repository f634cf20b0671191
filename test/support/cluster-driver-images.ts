import { buildImage } from './cluster-image.ts';
import { smallImage } from './cluster-images.ts';
import { sidecarProgram, type Sidecar } from './cluster-programs.ts';

/** As the chart's values have them. */
const SIDECARS: readonly [Sidecar, string][] = [
  ['csi-provisioner', 'v6.4.0'],
  ['csi-attacher', 'v4.13.0'],
  ['csi-resizer', 'v2.3.0'],
];

/** Archives of all images that the chart wants: the driver's own, and those of the sidecars under their public names. */
export function driverImages(): string[] {
  const sidecars = SIDECARS.map(([name, version]) =>
    smallImage({
      name: `registry.k8s.io/sig-storage/${name}:${version}`,
      files: { [name]: sidecarProgram(name) },
      entrypoint: [`/${name}`],
    }),
  );
  return [buildImage().archive, ...sidecars];
}
