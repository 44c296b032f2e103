// @ts-check

/** A list; an empty one where the browser has none of its kind. @template T @param {Promise<readonly T[]> | undefined} list */
async function all(list) {
  return (await list) ?? [];
}

/** The files that the origin keeps; a browser may refuse it any. */
async function folder() {
  return await navigator.storage?.getDirectory?.().catch(() => null);
}

/** Deletes what pages of an origin can keep. */
export async function forget() {
  localStorage.clear();
  sessionStorage.clear();
  for (const worker of await all(navigator.serviceWorker?.getRegistrations())) await worker.unregister();
  for (const name of await all(globalThis.caches?.keys())) await caches.delete(name);
  for (const { name = "" } of await all(indexedDB.databases())) {
    const request = indexedDB.deleteDatabase(name);
    await new Promise((resolve, reject) => {
      request.onsuccess = resolve;
      request.onerror = request.onblocked = () => reject(new Error(`the database ${name} stays`));
    });
  }
  const files = await folder();
  for (const name of await names(files)) await files?.removeEntry(name, { recursive: true });
}

/** @param {FileSystemDirectoryHandle | null | undefined} folder */
async function names(folder) {
  const names = [];
  if (folder) for await (const name of folder.keys()) names.push(name);
  return names;
}

/** Counts it. */
export async function countKept() {
  const workers = await all(navigator.serviceWorker?.getRegistrations());
  const lists = [workers, await all(globalThis.caches?.keys()), await all(indexedDB.databases()), await names(await folder())];
  const stores = localStorage.length + sessionStorage.length + document.cookie.length;
  return stores + (navigator.serviceWorker?.controller ? 1 : 0) + lists.flat().length;
}
