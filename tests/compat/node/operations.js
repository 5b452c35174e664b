// Each operation of the official TypeScript SDK, once, against the emulator.
// node operations.js ENDPOINT CONFIG TENANCY → JSON on stdout: operation → "ok" or what went wrong.
"use strict";

const assert = require("node:assert");
const { client, models, text } = require("./common");

const [endpoint, config, tenancy] = process.argv.slice(2);
const { oci } = client(endpoint, config);
const ns = { namespaceName: "ns1" };
const b = { ...ns, bucketName: "backups" };
const outcome = {};

async function ask(name, request, check = () => {}) {
  try {
    const response = await oci[name](request);
    check(response);
    outcome[name] = outcome[name] || "ok";
    return response;
  } catch (error) {
    outcome[name] = `${error.statusCode || ""} ${error.serviceCode || ""} ${error.message}`.trim();
    return {};
  }
}

async function put(objectName, body, more = {}) {
  const request = { ...b, objectName, putObjectBody: body, contentLength: body.length, ...more };
  return ask("putObject", request, (r) => assert.ok(r.eTag && r.versionId));
}

async function buckets() {
  await ask("getNamespace", {}, (r) => assert.strictEqual(r.value, "ns1"));
  const metadata = { defaultS3CompartmentId: tenancy, defaultSwiftCompartmentId: tenancy };
  await ask("updateNamespaceMetadata", { ...ns, updateNamespaceMetadataDetails: metadata });
  await ask("getNamespaceMetadata", ns, (r) =>
    assert.strictEqual(r.namespaceMetadata.defaultS3CompartmentId, tenancy)
  );
  for (let number = 0; number < 27; number++) {
    const createBucketDetails = {
      name: `made-${number}`,
      compartmentId: tenancy,
      metadata: { owner: "me" },
      freeformTags: { number: `${number}` },
    };
    await ask("createBucket", { ...ns, createBucketDetails }, (r) => {
      assert.strictEqual(r.bucket.metadata.owner, "me");
      assert.ok(Date.parse(r.bucket.timeCreated));
    });
  }
  const seen = [];
  let page;
  do {
    const request = { ...ns, compartmentId: tenancy, page, fields: ["tags"] };
    const response = await ask("listBuckets", request, (r) => assert.ok(r.items.length <= 25));
    seen.push(...(response.items || []).map((item) => item.name));
    page = response.opcNextPage;
  } while (page);
  if (new Set(seen).size !== 28) outcome.listBuckets = `${seen.length} buckets`;
  const made = { ...ns, bucketName: "made-0" };
  const updateBucketDetails = { versioning: "Enabled", metadata: { other: "too" } };
  const old = await ask("getBucket", { ...made, fields: ["approximateCount"] }, (r) =>
    assert.strictEqual(r.bucket.approximateCount, 0)
  );
  await ask("updateBucket", { ...made, updateBucketDetails, ifMatch: old.eTag }, (r) => {
    assert.strictEqual(r.bucket.versioning, "Enabled");
    assert.notStrictEqual(r.eTag, old.eTag);
  });
  await ask("headBucket", made, (r) => assert.ok(r.eTag));
  await ask("reencryptBucket", made, (r) => assert.ok(r.opcWorkRequestId));
  await ask("deleteBucket", { ...ns, bucketName: "made-26" });
}

async function objects() {
  await put("small", Buffer.from("hello"), { opcMeta: { color: "blue" } });
  await ask("headObject", { ...b, objectName: "small" }, (r) => {
    assert.strictEqual(r.contentLength, 5);
    assert.strictEqual(r.opcMeta["opc-meta-color"], "blue");
  });
  const got = await ask("getObject", { ...b, objectName: "small", range: { startByte: 1, endByte: 3 } });
  if ((await text(got.value)) !== "ell") outcome.getObject = "other bytes";
  await ask("listObjects", { ...b, fields: "name,size,etag,md5", delimiter: "/" }, (r) => {
    assert.strictEqual(r.listObjects.objects[0].size, 5);
    assert.deepStrictEqual(r.listObjects.prefixes, []);
  });
  const renameObjectDetails = { sourceName: "small", newName: "renamed" };
  await ask("renameObject", { ...b, renameObjectDetails }, (r) => assert.ok(r.eTag));
  const tier = { objectName: "renamed", storageTier: models.StorageTier.InfrequentAccess };
  await ask("updateObjectStorageTier", { ...b, updateObjectStorageTierDetails: tier });
  await ask("reencryptObject", { ...b, objectName: "renamed", reencryptObjectDetails: { kmsKeyId: "k" } });
  await put("cold", Buffer.from("ice"), { storageTier: models.StorageTier.Archive });
  await ask("restoreObjects", { ...b, restoreObjectsDetails: { objectName: "cold", hours: 2 } });
  for (const name of ["x1", "x2"]) await put(name, Buffer.from(name));
  const batchDeleteObjectsDetails = { objects: [{ objectName: "x1" }, { objectName: "missing" }] };
  await ask("batchDeleteObjects", { ...b, batchDeleteObjectsDetails }, (r) => {
    assert.deepStrictEqual(r.batchDeleteObjectsResult.deleted.map((d) => d.objectName), ["x1"]);
    assert.strictEqual(r.batchDeleteObjectsResult.failed[0].statusCode, 404);
  });
  await ask("deleteObject", { ...b, objectName: "x2" }, (r) => assert.ok(r.lastModified));
  const kept = { ...ns, bucketName: "made-0" };
  for (const body of ["one", "two"]) {
    await ask("putObject", { ...kept, objectName: "it", putObjectBody: body, contentLength: 3 });
  }
  // The SDK gives no booleans of headers: that it was a marker is seen in the list of versions.
  await ask("deleteObject", { ...kept, objectName: "it" }, (r) => assert.ok(r.versionId));
  const versions = [];
  let page;
  do {
    const response = await ask("listObjectVersions", { ...kept, limit: 2, page });
    versions.push(...((response.objectVersionCollection || {}).items || []));
    page = response.opcNextPage;
  } while (page);
  const flags = versions.map((version) => version.isDeleteMarker);
  if (JSON.stringify(flags) !== "[true,false,false]") outcome.listObjectVersions = `${flags}`;
  const { versionId } = versions[2];
  const first = await ask("getObject", { ...kept, objectName: "it", versionId });
  if ((await text(first.value)) !== "one") outcome.getObject = "another version";
}

async function uploads() {
  const createMultipartUploadDetails = { object: "parts" };
  const created = await ask("createMultipartUpload", { ...b, createMultipartUploadDetails });
  const upload = { ...b, objectName: "parts", uploadId: created.multipartUpload.uploadId };
  const partsToCommit = [];
  for (const partNum of [1, 2]) {
    const body = Buffer.alloc(1000 + partNum, partNum);
    const request = { ...upload, uploadPartNum: partNum, uploadPartBody: body, contentLength: body.length };
    const { eTag } = await ask("uploadPart", request, (r) => assert.ok(r.opcContentMd5));
    partsToCommit.push({ partNum, etag: eTag });
  }
  await ask("listMultipartUploads", b, (r) => assert.strictEqual(r.items.length, 1));
  await ask("listMultipartUploadParts", { ...upload, limit: 1 }, (r) => {
    assert.strictEqual(r.items[0].size, 1001);
    assert.ok(r.opcNextPage);
  });
  const commitMultipartUploadDetails = { partsToCommit: partsToCommit.slice(0, 1), partsToExclude: [2] };
  await ask("commitMultipartUpload", { ...upload, commitMultipartUploadDetails }, (r) =>
    assert.ok(r.opcMultipartMd5.endsWith("-1"))
  );
  const second = await ask("createMultipartUpload", { ...b, createMultipartUploadDetails });
  await ask("abortMultipartUpload", { ...upload, uploadId: second.multipartUpload.uploadId });
}

async function rules() {
  const item = { name: "old", action: "DELETE", timeAmount: 3, timeUnit: "DAYS", isEnabled: true };
  const putObjectLifecyclePolicyDetails = { items: [{ ...item, target: "objects" }] };
  await ask("putObjectLifecyclePolicy", { ...b, putObjectLifecyclePolicyDetails });
  await ask("getObjectLifecyclePolicy", b, (r) =>
    assert.strictEqual(r.objectLifecyclePolicy.items[0].timeAmount, 3)
  );
  await ask("deleteObjectLifecyclePolicy", b);
  const held = { ...ns, bucketName: "made-1" };
  const duration = { timeAmount: 1, timeUnit: "DAYS" };
  const made = await ask("createRetentionRule", { ...held, createRetentionRuleDetails: { duration } });
  const rule = { ...held, retentionRuleId: made.retentionRule.id };
  const longer = { duration: { timeAmount: 2, timeUnit: "DAYS" } };
  await ask("updateRetentionRule", { ...rule, updateRetentionRuleDetails: longer }, (r) =>
    assert.strictEqual(r.retentionRule.duration.timeAmount, 2)
  );
  await ask("getRetentionRule", rule, (r) => assert.ok(r.lastModified));
  await ask("listRetentionRules", held, (r) =>
    assert.strictEqual(r.retentionRuleCollection.items.length, 1)
  );
  await ask("deleteRetentionRule", rule);
  const createReplicationPolicyDetails = {
    name: "copy",
    destinationRegionName: "eu-zurich-1",
    destinationBucketName: "made-2",
  };
  const policy = await ask("createReplicationPolicy", { ...held, createReplicationPolicyDetails });
  const one = { ...held, replicationId: policy.replicationPolicy.id };
  await ask("getReplicationPolicy", one);
  await ask("listReplicationPolicies", held, (r) => assert.strictEqual(r.items.length, 1));
  const destination = { ...ns, bucketName: "made-2" };
  await ask("listReplicationSources", destination, (r) =>
    assert.strictEqual(r.items[0].sourceBucketName, "made-1")
  );
  await ask("deleteReplicationPolicy", one);
  await ask("makeBucketWritable", destination);
}

async function pars() {
  const createPreauthenticatedRequestDetails = {
    name: "par",
    accessType: "AnyObjectRead",
    bucketListingAction: "ListObjects",
    timeExpires: new Date(Date.now() + 3600000),
  };
  const made = await ask("createPreauthenticatedRequest", { ...b, createPreauthenticatedRequestDetails });
  const { id, accessUri } = made.preauthenticatedRequest;
  const page = await fetch(`${endpoint}${accessUri}renamed`);
  if ((await page.text()) !== "hello") outcome.createPreauthenticatedRequest = "the URL gives other bytes";
  await ask("getPreauthenticatedRequest", { ...b, parId: id }, (r) =>
    assert.strictEqual(r.preauthenticatedRequestSummary.id, id)
  );
  await ask("listPreauthenticatedRequests", b, (r) => assert.strictEqual(r.items.length, 1));
  await ask("deletePreauthenticatedRequest", { ...b, parId: id });
}

async function work() {
  const copyObjectDetails = {
    sourceObjectName: "renamed",
    destinationRegion: "eu-frankfurt-1",
    destinationNamespace: "ns1",
    destinationBucket: "backups",
    destinationObjectName: "copied",
  };
  const { opcWorkRequestId } = await ask("copyObject", { ...b, copyObjectDetails });
  const workRequestId = opcWorkRequestId;
  await ask("listWorkRequests", { compartmentId: tenancy }, (r) => assert.ok(r.items.length >= 1));
  await ask("getWorkRequest", { workRequestId }, (r) =>
    assert.strictEqual(r.workRequest.operationType, "COPY_OBJECT")
  );
  await ask("listWorkRequestLogs", { workRequestId });
  await ask("listWorkRequestErrors", { workRequestId });
  await ask("cancelWorkRequest", { workRequestId });
}

(async () => {
  for (const group of [buckets, objects, uploads, rules, pars, work]) {
    try {
      await group();
    } catch (error) {
      outcome[`(${group.name})`] = error.stack;
    }
  }
  process.stdout.write(JSON.stringify(outcome));
})();
