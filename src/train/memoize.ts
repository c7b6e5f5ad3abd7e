/** What is made when it is first asked for, such as the program for a batch of some size. */
export function cached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
