# shellcheck shell=bash
# What scripts/set-up-docker and scripts/carry-images share: which images are needed, and what each was made from.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tools="$root/.tools"
base_image=debian:bookworm-slim
toxiproxy_local=toxiproxy:2.12.0 # the name of the image that is built here
toxiproxy_image="${CHAOSKIT_TOXIPROXY_IMAGE:-$toxiproxy_local}"
export DOCKER_HOST="${DOCKER_HOST:-unix:///var/run/docker.sock}" # as chaoskit: the client's contexts do not count
export DOCKER_BUILDKIT=0 # Debian's engine has the classic builder only

image_lines() { grep -v -E '^[[:space:]]*(#|$)' "$root/scripts/docker-images"; }

needed_images() { # every image a docker drill of this checkout needs, one a line
    printf '%s\n' "$base_image" "$toxiproxy_image"
    image_lines | awk '{print $1}'
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

missing_images() {
    local image
    for image in $(needed_images); do has_image "$image" || printf '%s\n' "$image"; done
}

built_from() { docker image inspect --format '{{index .Config.Labels "chaoskit.inputs"}}' "$1" 2>/dev/null || true; }

# The hash of what an image is made from: $1 context, $2 Dockerfile, then files and folders below the context.
inputs_hash() {
    local context="$root/$1" input
    shift
    (
        cd "$context"
        for input in "$@"; do
            [ -e "$input" ] || { echo "error: scripts/docker-images: $context/$input does not exist" >&2; exit 1; }
            [ "${input##*/}" != wheelhouse.sh ] || sha256sum <"$root/requirements/dev.txt"
            find "$input" -type f -not -path '*/__pycache__/*' -not -path '*/.*_cache/*' -not -name '*.md'
        done | LC_ALL=C sort -u | while IFS= read -r file; do
            case "$file" in
            *'  -') printf '%s\n' "$file" ;;
            *) sha256sum "$file" ;;
            esac
        done
    ) | sha256sum | cut -c1-32
}
