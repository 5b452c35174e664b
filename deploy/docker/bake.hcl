# All images for amd64 and arm64:
#   docker buildx bake -f deploy/docker/bake.hcl --push \
#       --set '*.args.PYTHON_IMAGE=docker.io/library/python:3.13-slim@sha256:…'
# A release names its base by digest (.github/workflows/release.yml does); two builds of one revision
# then have the same base, and the same packages in any case: requirements/ has their hashes.
variable "REGISTRY" { default = "localhost" }
variable "VERSION" { default = "dev" }

group "default" { targets = ["ocihaul", "official", "emulator"] }

target "common" {
  context    = "."
  dockerfile = "deploy/docker/Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  attest     = ["type=provenance,mode=max", "type=sbom"]
  labels = {
    "org.opencontainers.image.title"    = "ocihaul"
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.licenses" = "Apache-2.0"
  }
}

target "ocihaul" {
  inherits = ["common"]
  target   = "ocihaul"
  tags     = ["${REGISTRY}/ocihaul:${VERSION}"]
}

target "official" {
  inherits = ["common"]
  target   = "official"
  tags     = ["${REGISTRY}/ocihaul:${VERSION}-official"]
}

target "emulator" {
  inherits = ["common"]
  target   = "emulator"
  tags     = ["${REGISTRY}/ocihaul:${VERSION}-emulator"]
}
