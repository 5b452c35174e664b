// node upload.js ENDPOINT CONFIG FILE PART_SIZE REFRESH_MS → put FILE by the SDK's UploadManager.
// REFRESH_MS 0: the session is left alone; else it is refreshed every so often meanwhile.
"use strict";

const { client, UploadManager } = require("./common");

const [endpoint, config, file, partSize, refreshEach] = process.argv.slice(2);

(async () => {
  const { oci, provider } = client(endpoint, config);
  let refreshes = 0;
  let failure = null;
  const refresh = async () => {
    try {
      await provider.refreshAt(endpoint);
      refreshes++;
    } catch (error) {
      failure = `${error}`;
    }
  };
  const timer = Number(refreshEach) ? setInterval(refresh, Number(refreshEach)) : null;
  const manager = new UploadManager(oci, {
    partSize: Number(partSize),
    maxConcurrentUploads: 4, // a power of two: it divides a buffer size by it
    enforceMD5: true,
  });
  const response = await manager.upload({
    requestDetails: { namespaceName: "ns1", bucketName: "backups", objectName: "by-sdk" },
    content: { filePath: file },
  });
  if (timer) clearInterval(timer);
  process.stdout.write(JSON.stringify({ etag: response.eTag, refreshes, failure }));
})().catch((error) => {
  process.stderr.write(`${error.stack || JSON.stringify(error)}\n`);
  process.exit(1);
});
