import { Command, Option } from 'commander';
import type protobuf from 'protobufjs';
import { socketPathOf } from '../csi/endpoint.ts';
import { RpcClient } from '../rpc/client.ts';
import { loadProto } from '../rpc/proto-file.ts';
import { serviceDefinition } from '../rpc/service.ts';
import { isRpcError } from '../rpc/status.ts';
import { fieldNames, requestOf } from './csi-request.ts';
import { CommandFailure, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE } from './exit-codes.ts';
import { timeoutOption } from './options.ts';

interface Options {
  readonly endpoint: string;
  readonly timeout: number;
  readonly mode: string;
  readonly block: boolean;
  readonly fsType: string;
}

/** Those that this driver serves. */
const SERVICES = ['csi.v1.Identity', 'csi.v1.Controller', 'csi.v1.Node'] as const;

const HELP = `
Prints the answer as JSON. An error is printed as gRPC's name of it and the driver's own words; the exit code is then 1, or 3 when
nobody answers at the endpoint. 'aoe-csi csi list' shows all methods with their fields.

Fields are given as name=value; those of fields and of maps with a dot between: capacityRange.requiredBytes=1073741824,
parameters.maxWaste=50%. Where a value or the whole request is a JSON object, it is taken as such. A capability that is not given
is made from --mode, --block and --fs-type.

Examples:
  export CSI_ENDPOINT=unix:///run/aoe-csi/controller.sock
  aoe-csi csi CreateVolume name=first capacityRange.requiredBytes=1073741824 parameters.maxWaste=50%
  aoe-csi csi ControllerPublishVolume volumeId=e10.3@ybcd... nodeId=node-1
  aoe-csi csi NodeStageVolume --endpoint unix:///run/aoe-csi/node.sock volumeId=e10.3@ybcd... stagingTargetPath=/mnt/stage \\
    publishContext='{"epoch": "1", ...}'
  aoe-csi csi DeleteVolume volumeId=e10.3@ybcd...`;

export function csiCommand(): Command {
  return new Command('csi')
    .description('call a method of CSI, as an orchestrator would')
    .argument('<rpc>', "the method, e.g. CreateVolume; or 'list'")
    .argument('[fields...]', 'the request: name=value, or JSON')
    .addOption(
      new Option('--endpoint <socket>', 'unix socket of the plugin').env('CSI_ENDPOINT').default('unix:///run/aoe-csi/csi.sock'),
    )
    .addOption(timeoutOption('give up after so long', 60))
    .addOption(new Option('--mode <mode>', 'access mode').default('SINGLE_NODE_WRITER'))
    .addOption(new Option('--block', 'a raw block device instead of a file system').default(false))
    .addOption(new Option('--fs-type <type>', "file system (default: the volume's)").default('', "the volume's"))
    .addHelpText('after', HELP)
    .action(run);
}

async function run(rpc: string, words: readonly string[], options: Options): Promise<void> {
  const root = loadProto('csi.proto');
  const services = SERVICES.map((name) => root.lookupService(name));
  if (rpc === 'list') {
    for (const service of services) printMethods(service);
    return;
  }
  const service = services.find((each) => rpc in each.methods);
  const type = service?.methods[rpc]?.resolvedRequestType ?? null;
  if (service === undefined || type === null) {
    throw new CommandFailure(EXIT_USAGE, `there is no method ${rpc}; 'aoe-csi csi list' shows those there are`);
  }
  await call(service, rpc, requestOf(type, words, options), options);
}

async function call(service: protobuf.Service, rpc: string, request: object, { endpoint, timeout }: Options): Promise<void> {
  const client = new RpcClient(serviceDefinition(service), socketPathOf(endpoint));
  try {
    console.log(JSON.stringify(await client.call(rpc, request, { timeoutMs: timeout * 1000 }), undefined, 2));
  } catch (error) {
    if (!isRpcError(error)) throw error;
    // gRPC's own words for a socket that nobody serves begin so.
    const isUnreachable = error.code === 'UNAVAILABLE' && error.message.startsWith('No connection established');
    throw new CommandFailure(isUnreachable ? EXIT_UNREACHABLE : EXIT_FAILED, `${rpc}: ${error.code}: ${error.message}`);
  } finally {
    client.close();
  }
}

function printMethods(service: protobuf.Service): void {
  console.log(service.fullName.slice(1));
  for (const method of service.methodsArray) {
    const type = method.resolvedRequestType;
    console.log(`  ${method.name} ${type === null ? '' : fieldNames(type).join(' ')}`.trimEnd());
  }
}
