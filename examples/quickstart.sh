#!/usr/bin/env bash
# The whole job on real bone, with shell pipes: a network is trained on one specimen and judged on another. Ends with
# status 1 where a result is not what it must be.
#
#   bash examples/quickstart.sh [FOLDER]        (default: demo-output)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-demo-output}
mkdir -p "$out"
cd "$out"

# Two human trabecular bones from microCT. Their grey values are mapped so that the marrow peak is 0 and the bone
# peak 1050 mgHA/cm3: good for structure, but every density below is pseudo-calibrated.
seed=0
for bone in lhdl3155 lhdl2923; do
  bonectl convert "$here/data/${bone}_crop.tif" --calibrate "peaks(low=0, high=1050)" -o $bone.npy --force

  # A good scan to compare with, and one at an 800th of its dose; no noise is shared.
  bonectl simulate $bone.npy --views 720 --photons 1e6 --energy 25 --seed $((++seed)) |
    bonectl reconstruct --unit mgHA/cm3 -o $bone-reference.npy --force
  bonectl simulate $bone.npy --views 180 --photons 5e3 --energy 25 --seed $((++seed)) |
    bonectl reconstruct --unit mgHA/cm3 -o $bone-low.npy --force
done

# The good scan has the bone's own density: scanner, reconstruction and units agree.
bonectl measure lhdl2923-reference.npy --reference lhdl2923.npy --threshold reference -m bmd+psnr --json > reference.json
python "$here/expect.py" reference.json "bmd ~ 1%" "psnr > 25"

# Learn on one specimen, clean the other.
bonectl train lhdl3155-low.npy --target lhdl3155-reference.npy --model unet25d --loss l1 --steps 400 --seed 0 \
  -o bone.safetensors --force
bonectl denoise lhdl2923-low.npy --model bone.safetensors -o lhdl2923-denoised.npy --force

# What a network has to beat: a Gaussian of one voxel needs no training.
bonectl denoise lhdl2923-low.npy --model "gaussian(sigma=1)" -o lhdl2923-gaussian.npy --force

# What did the dose, and the network, do to the bone numbers? One threshold, fixed on the reference, for all.
for scan in lhdl2923-low lhdl2923-gaussian lhdl2923-denoised; do
  bonectl measure $scan.npy --reference lhdl2923-reference.npy --threshold reference --json > $scan.json
  bonectl measure $scan.npy --reference lhdl2923-reference.npy --threshold reference
done
python "$here/expect.py" lhdl2923-denoised.json "psnr > psnr" "bmd_distance < bmd_distance" "bvtv ~ 5%" --than lhdl2923-low.json

python "$here/before_after.py" lhdl2923-low.npy lhdl2923-denoised.npy lhdl2923-reference.npy -o before-after.png
echo "pictures: $PWD/before-after.png" >&2
