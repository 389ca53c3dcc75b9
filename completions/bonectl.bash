# bash completion for bonectl, made by python -m bonectl.cli.manual
_bonectl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W 'phantom simulate reconstruct train denoise measure info convert --help --version' -- "$cur")); return
  fi
  case "$command $prev" in
    "phantom --format") COMPREPLY=($(compgen -W 'npy tiff ome' -- "$cur")); return ;;
    "phantom --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "simulate --geometry") COMPREPLY=($(compgen -W 'cone fan parallel' -- "$cur")); return ;;
    "simulate --noise") COMPREPLY=($(compgen -W 'electronic none poisson' -- "$cur")); return ;;
    "simulate --unit") COMPREPLY=($(compgen -W 'counts transmission line integral' -- "$cur")); return ;;
    "simulate --order") COMPREPLY=($(compgen -W 'sinogram projection' -- "$cur")); return ;;
    "simulate --nan") COMPREPLY=($(compgen -W 'fail zero fill' -- "$cur")); return ;;
    "simulate --format") COMPREPLY=($(compgen -W 'npy tiff ome' -- "$cur")); return ;;
    "simulate --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "reconstruct --method") COMPREPLY=($(compgen -W 'cgls fbp fdk fista lpd sirt tv' -- "$cur")); return ;;
    "reconstruct --unit") COMPREPLY=($(compgen -W '1/cm mgHA/cm3' -- "$cur")); return ;;
    "reconstruct --calibrate") COMPREPLY=($(compgen -W 'energy linear peaks rods scanco' -- "$cur")); return ;;
    "reconstruct --geometry") COMPREPLY=($(compgen -W 'cone fan parallel' -- "$cur")); return ;;
    "reconstruct --axes") COMPREPLY=($(compgen -W 'sinogram projection' -- "$cur")); return ;;
    "reconstruct --dead-pixels") COMPREPLY=($(compgen -W 'fill fail' -- "$cur")); return ;;
    "reconstruct --backend") COMPREPLY=($(compgen -W 'auto reference astra' -- "$cur")); return ;;
    "reconstruct --nan") COMPREPLY=($(compgen -W 'fail zero fill' -- "$cur")); return ;;
    "reconstruct --format") COMPREPLY=($(compgen -W 'npy tiff ome' -- "$cur")); return ;;
    "reconstruct --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "train --model"|"train -m") COMPREPLY=($(compgen -W 'drunet gaussian identity lpd msd nafnet nlm redcnn tv unet25d unet2d unet3d' -- "$cur")); return ;;
    "train --loss"|"train -l") COMPREPLY=($(compgen -W 'bvtv charbonnier cldice encoder euler fft gan grad hinge hist huber l1 l2 lowpass lsgan msssim ragan randvgg skelrec ssim surface vgg w1 wgan' -- "$cur")); return ;;
    "train --pairs") COMPREPLY=($(compgen -W 'lowdose noise2inverse supervised' -- "$cur")); return ;;
    "train --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "denoise --model"|"denoise -m") COMPREPLY=($(compgen -W 'drunet gaussian identity lpd msd nafnet nlm redcnn tv unet25d unet2d unet3d' -- "$cur")); return ;;
    "denoise --nan") COMPREPLY=($(compgen -W 'fail zero fill' -- "$cur")); return ;;
    "denoise --format") COMPREPLY=($(compgen -W 'npy tiff ome' -- "$cur")); return ;;
    "denoise --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "measure --metrics"|"measure -m") COMPREPLY=($(compgen -W 'anisotropy bmd bmd_distance bvtv components concavity connd cortical ctth density_spread dice ellipsoid_factor euler fractal fsc mtf porosity psnr smi ssim surface surface_distance tbn tbn_direct tbpf tbsp tbth tbth_distance tmd tmd_eroded' -- "$cur")); return ;;
    "measure --calibrate") COMPREPLY=($(compgen -W 'energy linear peaks rods scanco' -- "$cur")); return ;;
    "measure --style") COMPREPLY=($(compgen -W 'auto table tsv csv json' -- "$cur")); return ;;
    "measure --nan") COMPREPLY=($(compgen -W 'fail zero fill' -- "$cur")); return ;;
    "measure --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "info --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
    "convert --axes") COMPREPLY=($(compgen -W 'volume sinogram projection' -- "$cur")); return ;;
    "convert --order") COMPREPLY=($(compgen -W 'sinogram projection' -- "$cur")); return ;;
    "convert --calibrate") COMPREPLY=($(compgen -W 'energy linear peaks rods scanco' -- "$cur")); return ;;
    "convert --nan") COMPREPLY=($(compgen -W 'fail zero fill' -- "$cur")); return ;;
    "convert --format") COMPREPLY=($(compgen -W 'npy tiff ome' -- "$cur")); return ;;
    "convert --progress") COMPREPLY=($(compgen -W 'auto bar json none' -- "$cur")); return ;;
  esac
  case "$cur" in
    -*) case "$command" in
      phantom) COMPREPLY=($(compgen -W '--shape --voxel-size --seed --output -o --format --bare --force -f --no-history --slab --dry-run --json --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      simulate) COMPREPLY=($(compgen -W '--geometry --views --photons --energy --matrix --noise --blur --gain --dark --oversample --unit --order --flats --darks --frames --seed --device --voxel-size --input-unit --nan --output -o --format --bare --force -f --no-history --slab --dry-run --json --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      reconstruct) COMPREPLY=($(compgen -W '--method --unit --energy --matrix --calibrate --centre --try --slice --sheet --json --angles --geometry --size --axes --flats --darks --dead-pixels --air --device --backend --max-memory --voxel-size --input-unit --nan --output -o --format --bare --force -f --no-history --slab --dry-run --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      train) COMPREPLY=($(compgen -W '--output -o --target -t --model -m --loss -l --pairs --steps --batch --run --patch --rate --held-out --balance --critics --patience --seed --init-from --offset --scale --every --resume --picture --no-picture --tensorboard --force -f --device --compile --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      denoise) COMPREPLY=($(compgen -W '--model -m --samples --sd --each --device --tile --voxel-size --input-unit --nan --output -o --format --bare --force -f --no-history --slab --dry-run --json --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      measure) COMPREPLY=($(compgen -W '--metrics -m --threshold -t --reference -r --samples --mask --label --mask-label --purify --calibrate --json --map --intervals --seed --plot --window --output -o --force -f --max-memory --style --voxel-size --input-unit --nan --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      info) COMPREPLY=($(compgen -W '--json --stats --voxel-size --input-unit --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
      convert) COMPREPLY=($(compgen -W '--axes --crop --order --bin --calibrate --dtype --window --voxel-size --input-unit --nan --output -o --format --bare --force -f --no-history --slab --dry-run --json --threads --quiet -q --progress --debug --help' -- "$cur")); return ;;
    esac ;;
  esac
  if [ "$command" = phantom ] && [ "$COMP_CWORD" -eq 2 ]; then
    COMPREPLY=($(compgen -W 'ball disc femur iliac lattice plates rods shaft shell torus trabecular vertebra' -- "$cur")); return
  fi
  COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _bonectl bonectl
