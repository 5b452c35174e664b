#!/bin/sh
# One night's backup of one file, for cron, systemd, Kubernetes and compose: see docs/logging.md.
#
#   BACKUP_FILE   the file, such as /backup/db.tar
#   BUCKET        the bucket
#   STATE         where lock, log, receipts, metrics and report are [/var/lib/ocihaul-backup]
#   PROFILE       the profile of the session [DEFAULT]
#   TZ            whose midnight separates two nights
#
# OCIHAUL_NOTIFY, OCIHAUL_ON_FAILURE and OCIHAUL_BANDWIDTH are heeded as by every transfer. With
# OCIHAUL_LOG_FORMAT=json the report has the nights before this one, too (docs/report.md).
# Exit status: that of ocihaul; 75 says that the same command goes on, or that another one is at it.
set -eu
: "${BACKUP_FILE:?}" "${BUCKET:?}"
STATE=${STATE:-/var/lib/ocihaul-backup}
umask 077
mkdir -p "$STATE/receipts"

# The object is named by the day on which the file was written, not by today: run again after
# midnight, the same file goes on under the same name, and another night's file gets another one.
base=$(basename "$BACKUP_FILE")
day=$(date -r "$BACKUP_FILE" +%Y-%m-%d)
case $base in
    *.*) name=${base%%.*}-$day.${base#*.} ;;
    *) name=$base-$day ;;
esac

# One at a time. keep-same: a second run of the same night is good, another file under this name is
# a failure.
exec flock -n -E 75 "$STATE/lock" \
    ocihaul os object put --profile "${PROFILE:-DEFAULT}" --auth security_token \
    --bucket-name "$BUCKET" --file "$BACKUP_FILE" --name "$name" \
    --if-exists keep-same --verify-checksum --no-wait \
    --receipt "$STATE/receipts/$name.json" --report "$STATE/report.html" \
    --log-file "$STATE/backup.log" --metrics-file "$STATE/ocihaul-$base.prom"
