import { Command, Option } from 'commander';
import type protobuf from 'protobufjs';
import { socketPathOf } from '../csi/endpoint.ts';
import { RpcClient } from '../rpc/client.ts';
import { loadProto } from '../rpc/proto-file.ts';
import { serviceDefinition } from '../rpc/service.ts';
import { isRpcError, type RpcError } from '../rpc/status.ts';
import { fieldNames, requestOf } from './csi-request.ts';
import { CommandFailure, EXIT_FAILED, EXIT_TIMEOUT, EXIT_UNREACHABLE, EXIT_USAGE } from './exit-codes.ts';
import { CSI_ENDPOINT_DEFAULT, timeoutOption } from './options.ts';

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
Prints the answer as JSON. An error is printed on standard error, as gRPC's name of it and the driver's own words.
'aoe-csi csi list' shows all methods with their fields. Controller and node have sockets of their own; both answer Identity.

Fields are given as name=value; those of fields and of maps with a dot between: capacityRange.requiredBytes=10Gi,
parameters.maxWaste=50%. Where a value or the whole request is a JSON object, it is taken as such. A capability that is not given
is made from --mode, --block and --fs-type.

Examples:
  export CSI_ENDPOINT=unix:///run/aoe-csi/controller.sock
  aoe-csi csi CreateVolume name=first capacityRange.requiredBytes=10Gi parameters.maxWaste=50%
  aoe-csi csi ControllerPublishVolume volumeId=e10.3@ybcd... nodeId=node-1
  aoe-csi csi NodeStageVolume --endpoint unix:///run/aoe-csi/node.sock volumeId=e10.3@ybcd... stagingTargetPath=/mnt/stage \\
    publishContext='{"epoch": "1", ...}'
  aoe-csi csi DeleteVolume volumeId=e10.3@ybcd...

Exit codes:
  0  done
  1  the plugin answered with an error
  2  wrong usage
  3  nobody answers at the endpoint
  4  timed out`;

export function csiCommand(): Command {
  return new Command('csi')
    .description('call a method of CSI, as an orchestrator would')
    .argument('<rpc>', "the method, e.g. CreateVolume; or 'list'")
    .argument('[fields...]', 'the request: name=value, or JSON')
    .addOption(new Option('--endpoint <socket>', 'unix socket of the plugin').env('CSI_ENDPOINT').default(CSI_ENDPOINT_DEFAULT))
    .addOption(timeoutOption('give up after so long', 60))
    .addOption(new Option('--mode <mode>', 'access mode').default('SINGLE_NODE_WRITER'))
    .addOption(new Option('--block', 'a raw block device instead of a file system').default(false))
    .addOption(new Option('--fs-type <type>', 'file system').default('', "the volume's"))
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
  for (const service of services) {
    const method = service.methodsArray.find(({ name }) => name.toLowerCase() === rpc.toLowerCase());
    const type = method?.resolvedRequestType ?? null;
    if (method === undefined || type === null) continue;
    await call(service, method.name, requestOf(type, words, options), options);
    return;
  }
  throw new CommandFailure(EXIT_USAGE, `there is no method ${rpc}; 'aoe-csi csi list' shows those there are`);
}

async function call(service: protobuf.Service, rpc: string, request: object, { endpoint, timeout }: Options): Promise<void> {
  const client = new RpcClient(serviceDefinition(service), pathOf(endpoint));
  try {
    console.log(JSON.stringify(await client.call(rpc, request, { timeoutMs: timeout * 1000 }), undefined, 2));
  } catch (error) {
    throw isRpcError(error) ? failureOf(rpc, error, endpoint) : error;
  } finally {
    client.close();
  }
}

/** @throws CommandFailure for an endpoint that can't be one */
function pathOf(endpoint: string): string {
  try {
    return socketPathOf(endpoint);
  } catch (error) {
    throw new CommandFailure(EXIT_USAGE, (error as Error).message);
  }
}

function failureOf(rpc: string, { code, message }: RpcError, endpoint: string): CommandFailure {
  // gRPC's own words for a socket that nobody serves begin so.
  if (code === 'UNAVAILABLE' && message.startsWith('No connection established')) {
    const reason = /connect (\w+)/.exec(message)?.[1] ?? message;
    return new CommandFailure(
      EXIT_UNREACHABLE,
      `${rpc}: nobody answers at ${endpoint} (${reason}); is the plugin running? --endpoint names its socket`,
    );
  }
  const advice = code === 'UNIMPLEMENTED' ? '; controller and node have sockets of their own: --endpoint' : '';
  return new CommandFailure(code === 'DEADLINE_EXCEEDED' ? EXIT_TIMEOUT : EXIT_FAILED, `${rpc}: ${code}: ${message}${advice}`);
}

function printMethods(service: protobuf.Service): void {
  console.log(service.fullName.slice(1));
  for (const method of service.methodsArray) {
    const type = method.resolvedRequestType;
    console.log(`  ${method.name} ${type === null ? '' : fieldNames(type).join(' ')}`.trimEnd());
  }
}
