import type { ControllerMethods, Volume } from '../csi/messages.ts';
import type { CsiCall, CsiHandlers } from '../csi/handlers.ts';
import type { Init } from '../rpc/message-types.ts';
import { capacityRange } from '../volumes/capacity.ts';
import { VolumeError } from '../volumes/errors.ts';
import { freeCapacity } from '../volumes/free-capacity.ts';
import { KeyedLock } from '../volumes/keyed-lock.ts';
import { readAttributes, settingsOf, whyUnreadable } from '../volumes/parameters.ts';
import { placeVolume } from '../volumes/placement.ts';
import type { NodeRecord, TargetRecord } from '../volumes/records.ts';
import type { Segments } from '../volumes/topology.ts';
import { formatVolumeId, parseVolumeId, type VolumeId } from '../volumes/volume-id.ts';
import { noVolume, volumeIdOf } from '../volumes/volume-on-target.ts';
import { accessibleAtLast, accessibleFrom } from './accessible-topology.ts';
import { accessModeOf, CONTROLLER_CAPABILITIES, isReaderMode, requireCapabilities } from './capabilities.ts';
import { Deletion } from './deletion.ts';
import { expandVolume } from './expansion.ts';
import { findVolume, type FoundVolume } from './find-volume.ts';
import { Health } from './health.ts';
import { isVolume, listVolumes, paged } from './listing.ts';
import { modifyVolume } from './modification.ts';
import { liveNodes, type ControllerParts } from './parts.ts';
import { Provisioning } from './provisioning.ts';
import { Publishing } from './publishing.ts';
import { givenMutable, givenParameters, reachableFrom, wantedVolume } from './requests.ts';
import { Unpublishing } from './unpublishing.ts';
import { validationProblem } from './validation.ts';
import { patienceOf } from './waiting.ts';

type Answer<Name extends keyof ControllerMethods> = Promise<Init<ControllerMethods[Name]['response']>>;
type Request<Name extends keyof ControllerMethods> = ControllerMethods[Name]['request'];

/** CSI Controller: each method refuses what makes no sense, translates, calls one service, and translates back. docs/csi.md. */
export function controllerHandlers(parts: ControllerParts): CsiHandlers<ControllerMethods> {
  const methods = new Methods(parts);
  return {
    CreateVolume: async (request, call) => methods.create(request, call),
    DeleteVolume: async (request) => methods.delete(request),
    ControllerPublishVolume: async (request, call) => methods.publish(request, call),
    ControllerUnpublishVolume: async (request, call) => methods.unpublish(request, call),
    ValidateVolumeCapabilities: async (request) => methods.validate(request),
    ListVolumes: async (request) => methods.list(request),
    ControllerGetVolume: async (request) => methods.get(request),
    GetCapacity: async (request) => methods.capacity(request),
    ControllerGetCapabilities: async () =>
      Promise.resolve({ capabilities: CONTROLLER_CAPABILITIES.map((type) => ({ rpc: { type } })) }),
    ControllerExpandVolume: async (request) => methods.expand(request),
    ControllerModifyVolume: async (request) => methods.modify(request),
    ControllerGetVolumeHealth: async (request) => methods.health(request),
    ControllerListVolumeHealth: async (request) => methods.listHealth(request),
  };
}

class Methods {
  readonly #parts: ControllerParts;
  readonly #provisioning: Provisioning;
  readonly #deletion: Deletion;
  readonly #publishing: Publishing;
  readonly #unpublishing: Unpublishing;
  /** One call at a time on each volume: another one is answered with ABORTED, as the specification wants it. */
  readonly #volumes = new KeyedLock();

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#provisioning = new Provisioning(parts);
    this.#deletion = new Deletion(parts);
    this.#publishing = new Publishing(parts);
    this.#unpublishing = new Unpublishing(parts);
  }

  async create(request: Request<'CreateVolume'>, call: CsiCall): Answer<'CreateVolume'> {
    requireCapabilities(request.volumeCapabilities);
    const wanted = wantedVolume(request);
    return this.#volumes.run(`volume ${wanted.name}`, async () => {
      const target = await this.#provisioning.create(wanted, patienceOf(call));
      return { volume: volumeMessage(target, await accessibleAtLast(this.#parts, target, wanted.topology)) };
    });
  }

  async delete({ volumeId }: Request<'DeleteVolume'>): Answer<'DeleteVolume'> {
    const id = parseVolumeId(volumeId);
    // No volume of ours ever had such an id: it is as deleted as can be.
    if (id !== undefined) await this.#exclusively(id, async () => this.#deletion.delete(id));
    return {};
  }

  async publish(request: Request<'ControllerPublishVolume'>, call: CsiCall): Answer<'ControllerPublishVolume'> {
    const { volumeId, nodeId, volumeCapability, readonly } = request;
    if (volumeCapability === null) throw new VolumeError('invalid-argument', 'volume_capability is required');
    requireCapabilities([volumeCapability]);
    const id = knownId(volumeId);
    const attributes = id.claim === undefined ? readAttributes(request.volumeContext) : {};
    const accessMode = accessModeOf(volumeCapability);
    const isClaiming = settingsOf(attributes).claim === 'yes';
    const wanted = { nodeId, accessMode, readOnly: readonly || isReaderMode(accessMode), isClaiming };
    const publishContext = await this.#exclusively(id, async () => this.#publishing.publish(id, wanted, patienceOf(call)));
    return { publishContext };
  }

  async unpublish(
    { volumeId, nodeId }: Request<'ControllerUnpublishVolume'>,
    call: CsiCall,
  ): Answer<'ControllerUnpublishVolume'> {
    const id = parseVolumeId(volumeId);
    if (id !== undefined) await this.#exclusively(id, async () => this.#unpublishing.unpublish(id, nodeId, patienceOf(call)));
    return {};
  }

  async validate(request: Request<'ValidateVolumeCapabilities'>): Answer<'ValidateVolumeCapabilities'> {
    const { volumeContext, volumeCapabilities, parameters, mutableParameters } = request;
    const message = validationProblem(request, await this.#find(request.volumeId));
    return message === undefined
      ? { confirmed: { volumeContext, volumeCapabilities, parameters, mutableParameters } }
      : { message };
  }

  async list({ maxEntries, startingToken }: Request<'ListVolumes'>): Answer<'ListVolumes'> {
    const { entries, nextToken } = await listVolumes(this.#parts.store, maxEntries, startingToken);
    const live = await liveNodes(this.#parts);
    return {
      entries: entries.map((target) => ({ volume: listedVolume(target, live), status: statusMessage(target) })),
      nextToken,
    };
  }

  async get({ volumeId }: Request<'ControllerGetVolume'>): Answer<'ControllerGetVolume'> {
    const { target } = await this.#find(volumeId);
    const places = accessibleFrom(target, await liveNodes(this.#parts));
    return { volume: volumeMessage(target, places), status: statusMessage(target) };
  }

  async capacity(request: Request<'GetCapacity'>): Answer<'GetCapacity'> {
    requireCapabilities(request.volumeCapabilities);
    const settings = settingsOf(givenParameters(request.parameters).parameters);
    const targets = (await this.#parts.store.targets.list()).map(({ value }) => value);
    const wanted = { range: { requiredBytes: 0, limitBytes: 0 }, settings, topology: reachableFrom(request.accessibleTopology) };
    const placement = placeVolume(wanted, targets, await liveNodes(this.#parts));
    const { availableBytes, maximumBytes, minimumBytes } = freeCapacity(placement, settings.maxWaste);
    return {
      availableCapacity: availableBytes,
      maximumVolumeSize: { value: maximumBytes },
      minimumVolumeSize: { value: minimumBytes },
    };
  }

  async expand(request: Request<'ControllerExpandVolume'>): Answer<'ControllerExpandVolume'> {
    const range = capacityRange(request.capacityRange?.requiredBytes ?? 0, request.capacityRange?.limitBytes ?? 0);
    if (request.volumeCapability !== null) requireCapabilities([request.volumeCapability]);
    const id = knownId(request.volumeId);
    const capacityBytes = await this.#exclusively(id, async () => expandVolume(this.#parts.store, id, range));
    // Also for block volumes: the node's device is to show the new size.
    return { capacityBytes, nodeExpansionRequired: true };
  }

  async modify({ volumeId, mutableParameters }: Request<'ControllerModifyVolume'>): Answer<'ControllerModifyVolume'> {
    const { parameters } = givenMutable(mutableParameters);
    const id = knownId(volumeId);
    await this.#exclusively(id, async () => modifyVolume(this.#parts.store, id, parameters));
    return {};
  }

  async health({ volumeId }: Request<'ControllerGetVolumeHealth'>): Answer<'ControllerGetVolumeHealth'> {
    const { target } = await this.#find(volumeId);
    return { volumeHealth: (await Health.take(this.#parts)).of(target) };
  }

  async listHealth({ maxEntries, startingToken }: Request<'ControllerListVolumeHealth'>): Answer<'ControllerListVolumeHealth'> {
    const health = await Health.take(this.#parts);
    const targets = (await this.#parts.store.targets.list()).map(({ value }) => value);
    const ailing = targets.filter((target) => isVolume(target) && health.ailmentsOf(target).length > 0);
    const { entries, nextToken } = paged(ailing, maxEntries, startingToken);
    return { entries: entries.map((target) => health.of(target)), nextToken };
  }

  async #find(volumeId: string): Promise<FoundVolume> {
    return findVolume(this.#parts.store, volumeId);
  }

  async #exclusively<T>(id: VolumeId, work: () => Promise<T>): Promise<T> {
    return this.#volumes.run(`volume ${formatVolumeId(id)}`, work);
  }
}

/** @throws VolumeError `not-found` for a text that is no volume's id */
function knownId(volumeId: string): VolumeId {
  const id = parseVolumeId(volumeId);
  if (id === undefined) throw noVolume(volumeId, undefined);
  return id;
}

function volumeMessage(target: TargetRecord, places: readonly Segments[]): Init<Volume> {
  return { ...plainVolume(target), accessibleTopology: places.map((segments) => ({ segments })) };
}

/** In a list, which must not fail for one volume whose record somebody has edited: from where that can be reached is not said. */
function listedVolume(target: TargetRecord, live: readonly NodeRecord[]): Init<Volume> {
  return whyUnreadable(target.claim) === undefined ? volumeMessage(target, accessibleFrom(target, live)) : plainVolume(target);
}

function plainVolume(target: TargetRecord): Init<Volume> {
  return { volumeId: volumeIdOf(target), capacityBytes: target.claim?.capacityBytes ?? target.identity.sizeBytes };
}

function statusMessage({ publications }: TargetRecord): { readonly publishedNodeIds: readonly string[] } {
  return { publishedNodeIds: publications.map(({ nodeId }) => nodeId) };
}
