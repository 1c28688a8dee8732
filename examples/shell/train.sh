#!/bin/sh
# Training without Python: softmax regression on handwritten digits with awk, reported with curl.
#
# In: HYPERBAND_PARAM_LEARNING_RATE, _L2 and _BATCH, HYPERBAND_RESOURCE_TO (train up to this epoch),
# HYPERBAND_CHECKPOINT_DIR and HYPERBAND_ATTEMPT; and where the pod is, for reports.
# Out: one report an epoch, in the annotation hyperband.dev/metrics of this pod, or as a line in
# HYPERBAND_REPORT_FILE where a sidecar sends it on. Exit 0 after the last report, 1 if it could not be delivered, 143 after SIGTERM.
# Without a pod it prints its reports instead:  DIGITS=digits.csv examples/shell/train.sh
set -eu

data=${DIGITS:-/app/digits.csv}
secrets=${HYPERBAND_TOKEN_MOUNT:-/var/run/secrets/hyperband.dev}
learning_rate=${HYPERBAND_PARAM_LEARNING_RATE:-0.05}
l2=${HYPERBAND_PARAM_L2:-0.0001}
batch=${HYPERBAND_PARAM_BATCH:-4}
target=${HYPERBAND_RESOURCE_TO:-9}
attempt=${HYPERBAND_ATTEMPT:-0}
checkpoints=${HYPERBAND_CHECKPOINT_DIR:-checkpoints}

# The first process of a container must catch SIGTERM, or the kernel ignores it. The shell does so
# between commands only: awk and curl run in the background, and `wait` is interrupted at once.
child=
trap 'if [ -n "$child" ]; then kill "$child" 2>/dev/null || :; fi; exit 143' TERM
run() {
  "$@" &
  child=$!
  wait "$child"
}

# One epoch of gradient descent on four fifths of the rows, unless `train` is 0. Reads the weights in
# `old`, if that is not empty, writes them to `new`, prints loss (nats) and accuracy on the others.
epoch_program='
function scores(row,    c, j, best) {            # fills p with probabilities, returns the best class
  for (c = 0; c < 10; c++) {
    p[c] = w[c, 0]
    for (j = 1; j <= 64; j++) if (x[row, j]) p[c] += w[c, j] * x[row, j]
    if (c == 0 || p[c] > p[best]) best = c
  }
  total = 0; top = p[best]
  for (c = 0; c < 10; c++) total += p[c] = exp(p[c] - top)
  for (c = 0; c < 10; c++) p[c] /= total
  return best
}
function descend(n,    c, j) {                    # one step along the mean gradient of n rows
  for (c = 0; c < 10; c++) {
    w[c, 0] -= rate * g[c, 0] / n; g[c, 0] = 0
    for (j = 1; j <= 64; j++) {
      w[c, j] -= rate * (g[c, j] / n + l2 * w[c, j]); g[c, j] = 0
    }
  }
}
BEGIN {
  FS = ","
  while ((getline line < data) > 0) {
    n = split(line, field, ",")
    rows++
    for (j = 1; j < n; j++) x[rows, j] = field[j] / 16
    label[rows] = field[n]
    if (rows % 5 == 0) held_out[++validating] = rows; else order[++training] = rows
  }
  if (!rows) { print "no data in " data > "/dev/stderr"; exit 1 }
  for (c = 0; c < 10; c++) for (j = 0; j <= 64; j++) w[c, j] = 0
  while (old != "" && (getline line < old) > 0) {
    split(line, field, " "); w[field[1], field[2]] = field[3]
  }
  if (!train) training = 0
  srand(epoch)                                    # the same shuffle in every attempt
  for (i = training; i > 1; i--) {
    k = 1 + int(rand() * i); swap = order[i]; order[i] = order[k]; order[k] = swap
  }
  for (i = 1; i <= training; i++) {
    row = order[i]; scores(row); p[label[row]] -= 1
    for (c = 0; c < 10; c++) {
      g[c, 0] += p[c]
      for (j = 1; j <= 64; j++) if (x[row, j]) g[c, j] += p[c] * x[row, j]
    }
    if (i % batch == 0 || i == training) descend(i % batch ? i % batch : batch)
  }
  for (i = 1; i <= validating; i++) {
    row = held_out[i]; right += scores(row) == label[row]
    q = p[label[row]]; loss -= log(q < 1e-300 ? 1e-300 : q)
  }
  for (c = 0; c < 10; c++) for (j = 0; j <= 64; j++) printf "%d %d %.17g\n", c, j, w[c, j] > new
  if (close(new)) exit 1
  printf "%.6f %.4f\n", loss / validating, right / validating
}'

one_epoch() { # <epoch> <0 to validate only> <weights before, or nothing> <weights after>
  exec awk -v data="$data" -v rate="$learning_rate" -v l2="$l2" -v batch="$batch" \
    -v epoch="$1" -v train="$2" -v old="$3" -v new="$4" "$epoch_program"
}

# Sends all reports of this attempt: a list cannot lose one, as single reports could when two come
# in quick succession. A long training would leave some out: 64 KiB is the limit.
send() { # <json list> <retries> <seconds>
  if [ -z "${HYPERBAND_POD_NAME:-}" ]; then
    echo "report: $1"
    return
  fi
  # The token is renewed by Kubernetes: read at each report, and never on a command line.
  { printf 'Authorization: Bearer '; cat "$secrets/token"; } >"$scratch/authorization"
  printf '{"metadata":{"annotations":{"hyperband.dev/metrics":"%s"}}}' \
    "$(printf '%s' "$1" | sed 's/"/\\"/g')" >"$scratch/patch"
  # --retry waits 1, 2, 4 … seconds, or as long as the server says (429). After all errors: an API
  # server that has just started answers 401 and 403 until it has read accounts and roles.
  if run curl --silent --show-error --fail-with-body --request PATCH --output "$scratch/answer" \
    --retry "$2" --retry-max-time "$3" --retry-all-errors --max-time 10 \
    --cacert "$secrets/ca.crt" --header "@$scratch/authorization" \
    --header 'Content-Type: application/merge-patch+json' --data "@$scratch/patch" \
    "https://$KUBERNETES_SERVICE_HOST:${KUBERNETES_SERVICE_PORT:-443}/api/v1/namespaces/$HYPERBAND_POD_NAMESPACE/pods/$HYPERBAND_POD_NAME"; then
    return
  fi
  cat "$scratch/answer" >&2 || : # says what is missing: a RoleBinding, for instance
  return 1
}

newest_checkpoint() { # <epoch>-<attempt>.ckpt; an equal epoch: the later attempt's
  ls "$checkpoints" | grep -E '^[0-9]+-[0-9]+\.ckpt$' | sort -t - -k 1,1n -k 2,2n | tail -n 1
}

mkdir -p "$checkpoints"
# Hidden, and in the same file system as the checkpoints, so that a rename completes them.
scratch=$(mktemp -d "$checkpoints/.partial-$attempt-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

epoch=0
train=1
weights=
found=$(newest_checkpoint)
if [ -n "$found" ]; then
  epoch=${found%%-*}
  weights=$checkpoints/$found
  echo "resumed from epoch $epoch ($weights)"
  if [ "$epoch" -ge "$target" ]; then # ended between checkpoint and report: only report
    epoch=$((target - 1))
    train=0
  fi
fi

reports=
while [ "$epoch" -lt "$target" ]; do
  epoch=$((epoch + 1))
  run one_epoch "$epoch" "$train" "$weights" "$scratch/weights" >"$scratch/result"
  read -r val_loss accuracy <"$scratch/result"
  # The checkpoint before the report: the pod may be ended as soon as the report is read.
  before=$weights
  weights=$checkpoints/$epoch-$attempt.ckpt
  mv "$scratch/weights" "$weights"
  if [ -n "$before" ] && [ "$before" != "$weights" ]; then rm -f "$before"; fi
  echo "epoch $epoch val_loss $val_loss accuracy $accuracy"

  case $val_loss in *[Nn][Aa][Nn]* | *[Ii][Nn][Ff]*) val_loss='"nan"' ;; esac # JSON has no NaN
  newest="{\"epochs\":$epoch,\"val_loss\":$val_loss,\"accuracy\":$accuracy}"
  if [ -n "${HYPERBAND_REPORT_FILE:-}" ]; then # a sidecar does all the rest
    echo "$newest" >>"$HYPERBAND_REPORT_FILE"
    continue
  fi
  reports="$reports${reports:+,}$newest"
  if [ "$epoch" -lt "$target" ]; then
    send "[$reports]" 2 10 || echo "report of epoch $epoch not delivered, goes on" >&2
  else
    send "[$reports]" 12 300 || { echo "last report not delivered" >&2; exit 1; }
  fi
done
