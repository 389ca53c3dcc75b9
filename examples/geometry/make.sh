#!/usr/bin/env bash
# How a scan looks that is reconstructed with a wrong centre, direction, arc or unit: a phantom, and a real tooth.
#
#   bash examples/geometry/make.sh [FOLDER [TOOTH]]
#
# FOLDER (default: geometry-output) takes the volumes and pictures. TOOTH is a folder with projections.tif, flats.tif,
# darks.tif and theta_deg.npy; without one the pictures of the tooth are left out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tooth=${2:+$(cd "$2" && pwd)}
mkdir -p "${1:-geometry-output}"
cd "${1:-geometry-output}"
error() { # NAME: how a volume compares with the bone
  bonectl measure "$1.npy" --reference bone.npy --threshold reference -m psnr+bmd --json > "$1.json"
}
panels() { python "$here/panels.py" "$@"; }

# A slice of bone, scanned over 180 degrees about column 95 of 192; once as line integrals, once as a bare array of
# transmissions that nobody said anything about.
bonectl phantom iliac --shape 2,128,128 --voxel-size 0.03 --seed 4 -o bone.npy --force
beam="parallel(views=240, columns=192, centre=95)"
bonectl simulate bone.npy --geometry "$beam" --energy 25 --photons 2e4 --unit "line integral" --seed 1 -o scan.npy --force
bonectl simulate bone.npy --geometry "$beam" --energy 25 --photons 2e4 --unit transmission --seed 1 --bare -o plain.npy --force
rm plain.npy.json

bonectl reconstruct scan.npy -o right.npy --force
bonectl reconstruct scan.npy --centre 97 -o plus2.npy --force
bonectl reconstruct scan.npy --centre 92 -o minus3.npy --force
bonectl reconstruct scan.npy --angles -180 -o mirrored.npy --force
bonectl reconstruct scan.npy --angles 200 -o arc.npy --force
plain="plain.npy --axes sinogram --voxel-size 0.03 --angles 180 --centre 95 --size 128"
bonectl reconstruct $plain --input-unit "line integral" -o unit.npy --force

# What is shown is what it is called: the right one has the bone's density, the wrong ones are worse.
error right
python "$here/../expect.py" right.json "bmd ~ 2%"
for wrong in plus2 minus3 mirrored arc; do
  error $wrong
  python "$here/../expect.py" right.json "psnr > psnr" --than $wrong.json
done
panels -o centre.png --window -1.5 4.5 right=right.npy "2 columns too far=plus2.npy" "3 columns short=minus3.npy"
panels -o turn.png --window -1.5 4.5 right=right.npy "turned the other way=mirrored.npy" "180° taken for 200°=arc.npy" \
  "transmission as integral=unit.npy"
bonectl reconstruct scan.npy --try 92:98:1 --sheet tries.png --force

# The tooth: synchrotron projections over 180 degrees; the true pixel size is not known and taken as 0.01 mm.
[ -n "$tooth" ] || exit 0
raw=("$tooth/projections.tif" --axes projection --input-unit counts --voxel-size 0.01 --flats "$tooth/flats.tif"
  --darks "$tooth/darks.tif" --angles "$tooth/theta_deg.npy" --force)
bonectl reconstruct "${raw[@]}" --centre auto -o tooth-fbp.npy
bonectl reconstruct "${raw[@]}" --centre auto --method "cgls(iterations=12)" -o tooth-cgls.npy
bonectl reconstruct "${raw[@]}" --centre auto --method "tv(strength=0.004, iterations=100)" -o tooth-tv.npy
bonectl reconstruct "${raw[@]}" --centre 300 -o tooth-off.npy
panels -o tooth.png --window -2 10 --crop 160:400,240:480 FBP=tooth-fbp.npy CGLS=tooth-cgls.npy TV=tooth-tv.npy
panels -o tooth-centre.png --window -2 10 --crop 160:400,240:480 "column found=tooth-fbp.npy" "column 300=tooth-off.npy"
