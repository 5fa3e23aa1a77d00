#!/usr/bin/env bash
# The studies of both S4C papers on phantoms, as in s4c/README.md: the folds of each side by side,
# a core each.
#
#   bash scripts/phantom_studies.sh OUT
set -euo pipefail
mkdir -p "${1:?usage: phantom_studies.sh OUT}"
cd "$1"
# Jobs in the background do not hear an interrupt, and one that failed ends the other.
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT

# How `study` is called for a paper: its folds at the same time, then the tables of both.
study() {
  local paper=$1 fold jobs=()
  shift
  for fold in 0 1; do
    taskset -c "$fold" s4c study "$paper" "$@" --fold "$fold" > "$paper-$fold.log" 2>&1 &
    jobs+=($!)
  done
  for fold in 0 1; do
    wait "${jobs[$fold]}" || { tail -n 1 "$paper-$fold.log" >&2; exit 1; }
  done
  s4c study "$paper" "$@" --merge
}

# A call after an interruption goes on where the last one stopped.
[[ -e pdac ]] || s4c phantom pdac --num-cases 36 --seed 5 --tumor-fraction 0.75 --diameters-mm 12 45
[[ -e pnet ]] || s4c phantom pnet --paper pnet --num-cases 36 --seed 5 --spacing-mm 4 \
  --tumor-fraction 0.6 --diameters-mm 12 45
s4c prepare --data pdac --out cache-pdac
for phase in venous arterial; do
  s4c prepare --data pnet --out cache-pnet --prepare.duct --prepare.phase "$phase"
done

study pdac --data pdac --cache cache-pdac --out study-pdac --split.num-folds 2 \
  --recipe tiny-64 --recipe tiny-32 --recipe tiny-16 --run.steps 360 --loss.class-weights 1 1 4
# The compared networks see the venous phase alone: each network more takes two minutes.
study pnet --data pnet --cache cache-pnet --out study-pnet --split.num-folds 2 \
  --recipe tiny-pnet-venous --recipe tiny-pnet-arterial --recipe tiny-classifier \
  --recipe tiny-pnet-venous-unet3d --recipe tiny-pnet-venous-vnet --run.steps 400
