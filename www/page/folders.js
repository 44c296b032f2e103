/** Files of folders that were chosen or dropped, with their places in them. */

/** Paths of files that came out of a drop, which say none themselves. @type {WeakMap<File, string>} */
const dropped = new WeakMap();

/** Where a file lies in the folder that was opened: without the folder's own name. @param {File} file */
export function pathOf(file) {
  return whole(file).split("/").slice(1).join("/") || file.name;
}

/** The folder that was opened, by its name; "" for files that were chosen by themselves. @param {File[]} files */
export function folderOf(files) {
  return files.map((file) => whole(file).split("/").slice(0, -1)[0]).find(Boolean) ?? "";
}

/** @param {File} file */
function whole(file) {
  return dropped.get(file) ?? file.webkitRelativePath;
}

/** All files of what was dropped. @param {(FileSystemEntry | null)[]} entries @returns {Promise<File[]>} */
export async function filesBelow(entries) {
  const files = await Promise.all(entries.map((entry) => (entry ? below(entry, entry.name) : [])));
  return files.flat();
}

/** @param {FileSystemEntry} entry @param {string} path @returns {Promise<File[]>} */
async function below(entry, path) {
  if (entry.isFile) {
    const file = await /** @type {Promise<File>} */ (
      new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))
    );
    dropped.set(file, path);
    return [file];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const files = [];
  for (;;) {
    // A reader gives a hundred at a time.
    const some = await /** @type {Promise<FileSystemEntry[]>} */ (new Promise((resolve, reject) => reader.readEntries(resolve, reject)));
    if (some.length === 0) return files.flat();
    files.push(...(await Promise.all(some.map((each) => below(each, `${path}/${each.name}`)))));
  }
}
