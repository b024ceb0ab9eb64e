#!/bin/sh
# After unpacking: user, folders, secrets' files and the unit. The agent starts once it has a listener to post to.
set -e

[ "$1" = configure ] || exit 0
name=bitville-postgres-agent

systemd-sysusers "/usr/lib/sysusers.d/$name.conf"
systemd-tmpfiles --create "/usr/lib/tmpfiles.d/$name.conf"

deb-systemd-helper unmask "$name.service" >/dev/null || true
if deb-systemd-helper --quiet was-enabled "$name.service"; then
  deb-systemd-helper enable "$name.service" >/dev/null || true
else
  deb-systemd-helper update-state "$name.service" >/dev/null || true
fi
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi

if ! grep -Eq '^[[:space:]]*url[[:space:]]*=[[:space:]]*[^[:space:]]' /etc/bitville/postgres-agent.ini; then
  echo "$name: set url and project_id in /etc/bitville/postgres-agent.ini, write the listener's key to" >&2
  echo "$name: /etc/bitville/credentials/listener_api_key, then run: $name install && systemctl start $name" >&2
  exit 0
fi

# What the unit owes to the configuration may be computed otherwise by this version.
if [ -e "/etc/systemd/system/$name.service.d/50-configuration.conf" ]; then
  "$name" install >/dev/null || echo "$name: cannot compute the unit's drop-in; run: $name install" >&2
fi
if [ -d /run/systemd/system ]; then
  if [ -n "$2" ]; then action=restart; else action=start; fi
  deb-systemd-invoke "$action" "$name.service" >/dev/null || true
fi
