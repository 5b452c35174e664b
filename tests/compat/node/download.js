// node download.js ENDPOINT CONFIG NAME FILE → get NAME to FILE.
"use strict";

const fs = require("node:fs");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { client } = require("./common");

const [endpoint, config, objectName, file] = process.argv.slice(2);

(async () => {
  const { oci } = client(endpoint, config);
  const got = await oci.getObject({ namespaceName: "ns1", bucketName: "backups", objectName });
  const body = got.value instanceof Readable ? got.value : Readable.fromWeb(got.value);
  await pipeline(body, fs.createWriteStream(file));
  process.stdout.write(JSON.stringify({ crc32c: got.opcContentCrc32c, size: got.contentLength }));
})().catch((error) => {
  process.stderr.write(`${error.stack || JSON.stringify(error)}\n`);
  process.exit(1);
});
