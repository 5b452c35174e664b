// A client of the official SDK, signing with the session of a profile.
"use strict";

const common = require("oci-common");
const storage = require("oci-objectstorage");

// The SDK's own provider, led to the emulator for a refresh: it makes the URL up from the region.
class Provider extends common.SessionAuthDetailProvider {
  async refreshAt(endpoint) {
    const request = await common.composeRequest({
      baseEndpoint: endpoint,
      path: "/v1/authentication/refresh",
      method: "POST",
      defaultHeaders: { "content-type": "application/json" },
      bodyContent: JSON.stringify({ currentToken: await this.getSecurityToken() }),
    });
    const http = new common.FetchHttpClient(new common.DefaultRequestSigner(this));
    const response = await http.send(request);
    if (response.status !== 200) throw new Error(`refresh: ${response.status}`);
    this.sessionToken = (await response.json()).token;
  }
}

function client(endpoint, config) {
  const provider = new Provider(config, "DEFAULT");
  const oci = new storage.ObjectStorageClient(
    { authenticationDetailsProvider: provider },
    { retryConfiguration: common.NoRetryConfigurationDetails }
  );
  oci.endpoint = endpoint;
  return { oci, provider };
}

async function text(body) {
  if (body === undefined) return undefined;
  return new Response(body).text();
}

module.exports = { client, text, models: storage.models, UploadManager: storage.UploadManager };
