#!/bin/sh
# Before the files go. An upgrade leaves the agent running until the new one is there.
set -e

if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  deb-systemd-invoke stop bitville-postgres-agent.service >/dev/null || true
fi
