#!/bin/sh
# After the files have gone: configuration, secrets and buffer stay until the package is purged.
set -e

name=bitville-postgres-agent

if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = remove ]; then
  # Deno keeps what it has compiled beside its packages when root runs it.
  rm -rf "/usr/lib/$name"
  deb-systemd-helper mask "$name.service" >/dev/null || true
fi
if [ "$1" = purge ]; then
  deb-systemd-helper purge "$name.service" >/dev/null || true
  deb-systemd-helper unmask "$name.service" >/dev/null || true
  rm -rf "/etc/systemd/system/$name.service.d" /etc/bitville/credentials "/var/lib/$name"
  rmdir --ignore-fail-on-non-empty /etc/bitville 2>/dev/null || true
fi
