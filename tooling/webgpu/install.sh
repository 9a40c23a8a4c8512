#!/usr/bin/env bash
# Installs what the WebGPU tests run on, where it is missing: Debian's chromium (which also brings SwiftShader, a Vulkan
# driver on the CPU), libvulkan1, and lavapipe, the one CPU driver with float16 in shaders. Returns at once when all is there.
set -euo pipefail
cd "$(dirname "$0")"

here=.lavapipe
fail() {
  printf 'tooling/webgpu/install.sh: %s\n' "$1" >&2
  exit 1
}

installed() {
  command -v chromium >/dev/null && [ -e /usr/lib/chromium/vk_swiftshader_icd.json ] && ldconfig -p | grep -q 'libvulkan\.so\.1'
}
PATH=$PATH:/usr/sbin:/sbin
if installed && [ -s $here/icd.json ]; then exit 0; fi

command -v apt-get >/dev/null || fail "expected Debian or a relative of it (apt-get), got a system without. Install Chromium and a Vulkan loader by hand, and see README.md for what tests look for."
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail "packages have to be installed: expected root or sudo without a password, got neither. Run it once as root."
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"; }

log=$(mktemp)
work=$(mktemp -d)
chmod 755 "$work" # apt's downloader is a user of its own
trap 'rm -rf "$log" "$work"' EXIT
logged() { "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "failed: $*"; }; }

if ! installed; then
  echo "Installing chromium and libvulkan1 for the WebGPU tests, about a minute"
  logged apt update
  logged apt install --no-install-recommends chromium libvulkan1
  installed || fail "expected chromium with /usr/lib/chromium/vk_swiftshader_icd.json, and libvulkan.so.1, got neither or one after the installation."
fi

# Lavapipe of Debian 12 itself is too old for Dawn; the one of its backports is unpacked here and leaves the system as it is.
. /etc/os-release
options=()
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }')
  [ -n "$mirror" ] || fail "expected a source for bookworm in apt's configuration, got none."
  echo "deb ${mirror} bookworm-backports main" >"$work/backports.list"
  mkdir -p "$work/lists/partial"
  options=(-o "Dir::Etc::sourcelist=$work/backports.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$work/lists")
  logged apt "${options[@]}" update
fi
(cd "$work" && logged apt "${options[@]}" download mesa-vulkan-drivers)
dpkg-deb -x "$work"/mesa-vulkan-drivers_*.deb "$work/unpacked"
driver=$(find "$work/unpacked" -name libvulkan_lvp.so)
[ -n "$driver" ] || fail "expected libvulkan_lvp.so in the package mesa-vulkan-drivers, got none."
# What the driver is linked with: LLVM is not among the libraries that chromium needs.
missing=$(dpkg-deb -f "$work"/mesa-vulkan-drivers_*.deb Depends | grep -oE 'libllvm[0-9.]+[a-z0-9]*' | head -n 1)
if ldd "$driver" | grep -q 'not found' && [ -n "$missing" ]; then logged apt install --no-install-recommends "$missing"; fi
lost=$(ldd "$driver" | awk '/not found/ { print $1 }')
[ -z "$lost" ] || fail "expected every library that lavapipe is linked with, got none for: $lost"

mkdir -p $here
cp "$driver" $here/
printf '{ "file_format_version": "1.0.0", "ICD": { "api_version": "1.4.0", "library_path": "%s" } }\n' "$PWD/$here/libvulkan_lvp.so" >$here/icd.json
echo "WebGPU for the tests: chromium, SwiftShader and lavapipe are installed"
