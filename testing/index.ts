/**
 * What authors of storages and of code around them test with: a reference storage in memory and the contract as plain data
 * for any test runner; storages, replies and connections that fail on command; a clock that is moved by hand; and a fleet of
 * isolates on one store whose calls a seed interleaves. It knows no runner and no host.
 *
 * @module
 */
export { storageContract, type ContractCase, type ContractSubject } from "./contract.ts";
export { fakeClock, type FakeClock } from "./fake-clock.ts";
export type { Rates } from "./fault-plan.ts";
export { faultProxy, httpReply } from "./fault-proxy.ts";
export type { FaultProxy, FaultProxyOptions, ProxyFault, ProxyNet, ProxyServer, ProxySocket } from "./fault-proxy.ts";
export { faultyFetch, type FaultyFetch, type FaultyFetchOptions, type FetchFault, type FetchFaultName } from "./faulty-fetch.ts";
export { faultyStorage } from "./faulty-storage.ts";
export type { FaultyStorage, FaultyStorageOptions, StorageFault, StorageFaultName, StorageOperation } from "./faulty-storage.ts";
export { createFleet } from "./fleet.ts";
export type { Fleet, FleetIsolate, FleetOptions, FleetOutcome, FleetStep, FleetStorage } from "./fleet.ts";
export { memoryStorage, type MemoryCalls, type MemorySlot, type MemoryStorage, type MemoryStorageOptions } from "./memory-storage.ts";
