#!/usr/bin/env bash
# The whole job on real bone, at the voxel of HR-pQCT: a network is trained on one specimen and judged on another, beside
# filters that need no training. Ends with status 1 where a result is not what it must be.
#
#   bash examples/quickstart.sh [FOLDER]        (default: demo-output)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-demo-output}
mkdir -p "$out"
cd "$out"

# Two human trabecular bones of 58.5 um voxels. Their grey values were mapped so that the marrow peak is 0 and the bone
# peak 1050 mgHA/cm3: good for structure, but every density below is pseudo-calibrated.
scan() { # BONE VIEWS PHOTONS SEED OUT
  bonectl simulate "$here/data/$1_58um.tif" --views "$2" --photons "$3" --energy 25 --seed "$4" |
    bonectl reconstruct --unit mgHA/cm3 -o "$5" --force
}
scan lhdl3155 720 1e6 1 train-reference.npy # a good scan to learn from
scan lhdl3155 120 1e3 2 train-1.npy         # and two at a 6000th of its dose; no noise is shared
scan lhdl3155 120 1e3 3 train-2.npy
scan lhdl2923 720 1e6 4 reference.npy
scan lhdl2923 120 1e3 5 low.npy

# The good scan has the bone's own density: scanner, reconstruction and units agree.
bonectl measure reference.npy --reference "$here/data/lhdl2923_58um.tif" --threshold reference --mask cylinder \
  -m bmd+psnr --json > reference.json
python "$here/expect.py" reference.json "bmd ~ 1%" "psnr > 25"

# Learn on one specimen, clean the other. Patches are small: on a busy machine a second thread would only wait.
bonectl train train-1.npy train-2.npy --target train-reference.npy --target train-reference.npy --model "unet25d(width=8)" \
  --loss l1 --steps 1500 --patch 48 --batch 2 --rate 0.006 --seed 0 --threads 1 -o bone.safetensors --force
bonectl denoise low.npy --model bone.safetensors -o network.npy --force

# What a network has to beat needs no training: filters in 3-D. Which, is chosen on the specimen that is trained on.
i=0
for filter in "gaussian(sigma=0.5)" "gaussian(sigma=0.7)" "gaussian(sigma=0.9)" "tv3d(weight=0.05)" "tv3d(weight=0.1)" \
  "nlm3d(sigma=0.1)" "nlm3d(sigma=0.2)"; do
  echo "$filter" > filter-$((++i)).txt
  bonectl denoise train-1.npy --model "$filter" -o filter-$i.npy --force
done
numbers="bvtv + connd + tbth + tbsp + tmd + psnr + bmd_distance + fsc"
measured() { # REFERENCE STACKS...
  bonectl measure "${@:2}" --reference "$1" --threshold reference --mask cylinder --intervals none -m "$numbers" --json --quiet
}
measured train-reference.npy filter-?.npy > filters.json
best=$(python "$here/demo_table.py" --least filters.json)
bonectl denoise low.npy --model "$(cat "${best%.npy}.txt")" -o filter.npy --force

# What did the dose, the filter and the network do to the bone numbers? One threshold, fixed on the reference, for all.
measured reference.npy low.npy filter.npy network.npy > numbers.json
python "$here/demo_table.py" numbers.json | tee table.txt
echo "filter.npy: $(cat "${best%.npy}.txt")"
python "$here/before_after.py" low.npy filter.npy network.npy reference.npy --numbers numbers.json -o before-after.png
echo "pictures: $PWD/before-after.png" >&2

# The network must beat the best filter by these; by Conn.D it does not, and by BV/TV both are near: see the table.
python "$here/demo_table.py" numbers.json --nearer "network.npy filter.npy tbth tmd psnr bmd_distance fsc_frequency"
