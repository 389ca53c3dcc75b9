# bash completion for bonectl, made by python -m bonectl.cli.manual
_bonectl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  local IFS=$'\n'  # words and names of files may hold blanks
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W $'phantom\nsimulate\nprepare\nreconstruct\ntrain\ndenoise\nmeasure\nbatch\ninfo\nconvert\nexport\n--help\n--version' -- "$cur")); return; fi
  case "$command $prev" in
    "phantom --format") COMPREPLY=($(compgen -W $'metaimage\nnifti\nnifti_gz\nnpy\nnrrd\nome\ntiff' -- "$cur")); return ;;
    "phantom --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "simulate --geometry") COMPREPLY=($(compgen -W $'cone\nfan\nparallel' -- "$cur")); return ;;
    "simulate --noise") COMPREPLY=($(compgen -W $'electronic\nnone\npoisson' -- "$cur")); return ;;
    "simulate --unit") COMPREPLY=($(compgen -W $'counts\ntransmission\nline integral' -- "$cur")); return ;;
    "simulate --order") COMPREPLY=($(compgen -W $'sinogram\nprojection' -- "$cur")); return ;;
    "simulate --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "simulate --format") COMPREPLY=($(compgen -W $'metaimage\nnifti\nnifti_gz\nnpy\nnrrd\nome\ntiff' -- "$cur")); return ;;
    "simulate --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "prepare --steps") COMPREPLY=($(compgen -W $'badpixels\nbeamhardening\neigenflats\nflats\nhalfturn\nlog\nnormalise\npaganin\nrotate\nshift\nstripes\nzingers' -- "$cur")); return ;;
    "prepare --axes") COMPREPLY=($(compgen -W $'sinogram\nprojection' -- "$cur")); return ;;
    "prepare --order") COMPREPLY=($(compgen -W $'sinogram\nprojection' -- "$cur")); return ;;
    "prepare --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "prepare --format") COMPREPLY=($(compgen -W $'metaimage\nnifti\nnifti_gz\nnpy\nnrrd\nome\ntiff' -- "$cur")); return ;;
    "prepare --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "reconstruct --method") COMPREPLY=($(compgen -W $'bonewater\ncgls\nfbp\nfdk\nfista\nlpd\npnp\nsirt\ntv' -- "$cur")); return ;;
    "reconstruct --unit") COMPREPLY=($(compgen -W $'1/cm\nmgHA/cm3' -- "$cur")); return ;;
    "reconstruct --calibrate") COMPREPLY=($(compgen -W $'energy\nlinear\npeaks\nrods\nscanco' -- "$cur")); return ;;
    "reconstruct --geometry") COMPREPLY=($(compgen -W $'cone\nfan\nparallel' -- "$cur")); return ;;
    "reconstruct --axes") COMPREPLY=($(compgen -W $'sinogram\nprojection' -- "$cur")); return ;;
    "reconstruct --dead-pixels") COMPREPLY=($(compgen -W $'fill\nfail' -- "$cur")); return ;;
    "reconstruct --prepare") COMPREPLY=($(compgen -W $'badpixels\nbeamhardening\neigenflats\nflats\nhalfturn\nlog\nnormalise\npaganin\nrotate\nshift\nstripes\nzingers' -- "$cur")); return ;;
    "reconstruct --backend") COMPREPLY=($(compgen -W $'auto\nreference\nastra' -- "$cur")); return ;;
    "reconstruct --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "reconstruct --format") COMPREPLY=($(compgen -W $'metaimage\nnifti\nnifti_gz\nnpy\nnrrd\nome\ntiff' -- "$cur")); return ;;
    "reconstruct --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "train --model"|"train -m") COMPREPLY=($(compgen -W $'blind\ndrunet\ngaussian\nidentity\nlpd\nmsd\nnafnet\nnlm\nnlm3d\nredcnn\ntv\ntv3d\nunet25d\nunet2d\nunet3d' -- "$cur")); return ;;
    "train --loss"|"train -l") COMPREPLY=($(compgen -W $'bvtv\ncharbonnier\ncldice\necc\nencoder\neuler\nfft\ngan\ngrad\nhinge\nhist\nhuber\nl1\nl2\nlowpass\nlsgan\nmsssim\nragan\nrandvgg\nskelrec\nssim\nsurface\nvgg\nw1\nwgan' -- "$cur")); return ;;
    "train --pairs") COMPREPLY=($(compgen -W $'lowdose\nnoise2inverse\nnoise2self\nsupervised\nwhite' -- "$cur")); return ;;
    "train --teacher") COMPREPLY=($(compgen -W $'blind\ndrunet\ngaussian\nidentity\nlpd\nmsd\nnafnet\nnlm\nnlm3d\nredcnn\ntv\ntv3d\nunet25d\nunet2d\nunet3d' -- "$cur")); return ;;
    "train --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "train --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "denoise --model"|"denoise -m") COMPREPLY=($(compgen -W $'blind\ndrunet\ngaussian\nidentity\nlpd\nmsd\nnafnet\nnlm\nnlm3d\nredcnn\ntv\ntv3d\nunet25d\nunet2d\nunet3d' -- "$cur")); return ;;
    "denoise --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "denoise --format") COMPREPLY=($(compgen -W $'metaimage\nnifti\nnifti_gz\nnpy\nnrrd\nome\ntiff' -- "$cur")); return ;;
    "denoise --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "measure --metrics"|"measure -m") COMPREPLY=($(compgen -W $'anisotropy\nbmd\nbmd_distance\nbvtv\ncomponents\nconcavity\nconnd\ncortical\nctth\ndensity_spread\ndice\nellipsoid_factor\neuler\nfractal\nfsc\nmtf\nporosity\npsnr\nsmi\nssim\nsurface\nsurface_distance\ntbn\ntbn_direct\ntbpf\ntbsp\ntbth\ntbth_distance\ntmd\ntmd_eroded' -- "$cur")); return ;;
    "measure --calibrate") COMPREPLY=($(compgen -W $'energy\nlinear\npeaks\nrods\nscanco' -- "$cur")); return ;;
    "measure --style") COMPREPLY=($(compgen -W $'auto\ntable\ntsv\ncsv\njson' -- "$cur")); return ;;
    "measure --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "measure --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "batch --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "info --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "convert --axes") COMPREPLY=($(compgen -W $'volume\nsinogram\nprojection' -- "$cur")); return ;;
    "convert --order") COMPREPLY=($(compgen -W $'sinogram\nprojection' -- "$cur")); return ;;
    "convert --calibrate") COMPREPLY=($(compgen -W $'energy\nlinear\npeaks\nrods\nscanco' -- "$cur")); return ;;
    "convert --nan") COMPREPLY=($(compgen -W $'fail\nzero\nfill' -- "$cur")); return ;;
    "convert --format") COMPREPLY=($(compgen -W $'metaimage\nnifti\nnifti_gz\nnpy\nnrrd\nome\ntiff' -- "$cur")); return ;;
    "convert --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
    "export model") COMPREPLY=($(compgen -W $'blind\ndrunet\ngaussian\nidentity\nlpd\nmsd\nnafnet\nnlm\nnlm3d\nredcnn\ntv\ntv3d\nunet25d\nunet2d\nunet3d' -- "$cur")); return ;;
    "export --progress") COMPREPLY=($(compgen -W $'auto\nbar\njson\nnone' -- "$cur")); return ;;
  esac
  case "$cur" in
    -*) case "$command" in
      phantom) COMPREPLY=($(compgen -W $'--shape\n--voxel-size\n--seed\n--output\n-o\n--format\n--bare\n--force\n-f\n--no-history\n--slab\n--dry-run\n--json\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      simulate) COMPREPLY=($(compgen -W $'--geometry\n--views\n--photons\n--energy\n--matrix\n--noise\n--blur\n--gain\n--dark\n--oversample\n--unit\n--order\n--flats\n--darks\n--frames\n--as\n--seed\n--device\n--voxel-size\n--input-unit\n--nan\n--output\n-o\n--format\n--bare\n--force\n-f\n--no-history\n--slab\n--dry-run\n--json\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      prepare) COMPREPLY=($(compgen -W $'--steps\n--flats\n--darks\n--axes\n--angles\n--centre\n--order\n--try\n--slice\n--sheet\n--scanner\n--max-memory\n--voxel-size\n--input-unit\n--nan\n--output\n-o\n--format\n--bare\n--force\n-f\n--no-history\n--slab\n--dry-run\n--json\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      reconstruct) COMPREPLY=($(compgen -W $'--method\n--unit\n--energy\n--matrix\n--calibrate\n--centre\n--try\n--slice\n--sheet\n--json\n--angles\n--geometry\n--size\n--axes\n--flats\n--darks\n--scanner\n--dead-pixels\n--air\n--prepare\n--device\n--backend\n--max-memory\n--voxel-size\n--input-unit\n--nan\n--output\n-o\n--format\n--bare\n--force\n-f\n--no-history\n--slab\n--dry-run\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      train) COMPREPLY=($(compgen -W $'--output\n-o\n--target\n-t\n--model\n-m\n--loss\n-l\n--pairs\n--teacher\n--teacher-share\n--steps\n--batch\n--run\n--patch\n--rate\n--held-out\n--balance\n--critics\n--patience\n--seed\n--nan\n--any-voxel-size\n--init-from\n--offset\n--scale\n--every\n--resume\n--picture\n--no-picture\n--tensorboard\n--force\n-f\n--device\n--compile\n--dry-run\n--json\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      denoise) COMPREPLY=($(compgen -W $'--model\n-m\n--samples\n--sd\n--each\n--device\n--tile\n--engine\n--anyway\n--voxel-size\n--input-unit\n--nan\n--output\n-o\n--format\n--bare\n--force\n-f\n--no-history\n--slab\n--dry-run\n--json\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      measure) COMPREPLY=($(compgen -W $'--metrics\n-m\n--threshold\n-t\n--reference\n-r\n--samples\n--mask\n--label\n--mask-label\n--purify\n--calibrate\n--json\n--map\n--intervals\n--seed\n--plot\n--window\n--output\n-o\n--force\n-f\n--max-memory\n--dry-run\n--style\n--voxel-size\n--input-unit\n--nan\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      batch) COMPREPLY=($(compgen -W $'--init\n--only\n--output\n-o\n--dry-run\n--status\n--json\n--redo\n--retry-failed\n--retries\n--jobs\n-j\n--shard\n--print-script\n--scheduler\n--watch\n--settle\n--until\n--no-report\n--keep-names\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      info) COMPREPLY=($(compgen -W $'--json\n--stats\n--voxel-size\n--input-unit\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      convert) COMPREPLY=($(compgen -W $'--axes\n--crop\n--order\n--bin\n--calibrate\n--dtype\n--window\n--voxel-size\n--input-unit\n--nan\n--output\n-o\n--format\n--bare\n--force\n-f\n--no-history\n--slab\n--dry-run\n--json\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
      export) COMPREPLY=($(compgen -W $'--output\n-o\n--force\n-f\n--threads\n--quiet\n-q\n--progress\n--debug\n--help' -- "$cur")); return ;;
    esac ;;
  esac
  if [ "$command" = phantom ] && [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W $'ball\ncancellous\ndisc\nfemur\niliac\nlattice\nplates\nrods\nshaft\nshell\ntorus\ntrabecular\nvertebra' -- "$cur")); return; fi
  COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _bonectl bonectl
