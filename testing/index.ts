/**
 * What authors of storages and of code around them test with: a reference storage in memory, and the contract as plain
 * data for any test runner. It imports the port alone and knows no runner.
 *
 * @module
 */
export { storageContract, type ContractCase, type ContractSubject } from "./contract.ts";
export { memoryStorage, type MemoryCalls, type MemorySlot, type MemoryStorage, type MemoryStorageOptions } from "./memory-storage.ts";
