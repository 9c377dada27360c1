#!/bin/sh
# Judges the CSV files in inbox/ that have no result yet. For cron:
#   15 3 * * *  cd /srv/reviews && ./judge_new.sh
# A result is written under another name first, so that an interrupted run leaves nothing half-written.
set -eu
mkdir -p inbox done
for file in inbox/*.csv; do
    [ -e "$file" ] || exit 0
    result="done/$(basename "$file")"
    [ -e "$result" ] && continue
    nlplug run sentiment --input "$file" --output "$result.part.csv" --on-error skip
    mv "$result.part.csv" "$result"
done
