"""Environment variables that have a say, for the manual; a test compares them with what the source reads."""

VARIABLES = {
    "BONECTL_DEBUG": "When set, errors show their traceback, as with --debug.",
    "BONECTL_ENCODER_WEIGHTS": "File of the network behind the loss encoder, where its knob weights names none.",
    "BONECTL_LPD_WEIGHTS": "File of the network of the method lpd, where its knob weights names none.",
    "BONECTL_PNP_WEIGHTS": "File of the network behind the method pnp, where its knob weights names none.",
    "BONECTL_VGG_WEIGHTS": "File of the VGG network behind the loss vgg, where its knob weights names none.",
    "TORCH_HOME": "Where the weights of VGG are looked for last, below hub/checkpoints; ~/.cache/torch if not set.",
    "SOURCE_DATE_EPOCH": "Time that history entries carry, in seconds since 1970, for identical bytes.",
    "TMPDIR": "Folder of temporary files without a name: scans that are transposed, inputs of train that are unpacked.",
    "HOME": "Where compiled kernels, weights and the settings of matplotlib are looked for, and what ~ stands for; not "
    "needed.",
    "GOMP_SPINCOUNT": "How many turns a thread that waits for others spins before it sleeps; 10000 if neither this nor "
    "OMP_WAIT_POLICY is set.",
    "OMP_WAIT_POLICY": "How threads wait for each other (active or passive), in place of GOMP_SPINCOUNT.",
    "OPENBLAS_THREAD_TIMEOUT": "Threads of NumPy that have nothing to do spin for 2 to this power of cycles before "
    "they sleep; 4 if not set.",
    "NUMBA_CACHE_DIR": "Folder where compiled kernels are kept between runs; without it beside the program, else in "
    "the user's cache folder, else in a private folder among the temporary files.",
    "XDG_CACHE_HOME": "The user's cache folder, for compiled kernels; ~/.cache if not set.",
    "MPLCONFIGDIR": "Folder for the settings and fonts of matplotlib, which draws plots; a temporary one where there "
    "is no home.",
    "TORCHINDUCTOR_CACHE_DIR": "Folder for what train --compile compiles; torch makes one in TMPDIR if not set.",
    "NO_COLOR": "When set, tables and bars have no colour.",
    "TERM": "Kind of terminal; with dumb, tables and bars have neither colour nor movement.",
    "COLUMNS": "Width of tables, bars and help, where it is not that of the terminal.",
    "CUDA_VISIBLE_DEVICES": "GPUs that batch may use, one for each scan at a time.",
    "SLURM_ARRAY_TASK_ID": "Set by Slurm in a job array: the part that batch --shard auto takes.",
    "SLURM_ARRAY_TASK_MIN": "Set by Slurm: the first number of a job array.",
    "SLURM_ARRAY_TASK_MAX": "Set by Slurm: the last number of a job array.",
    "SLURM_ARRAY_TASK_STEP": "Set by Slurm: the step between numbers of a job array.",
    "SLURM_PROCID": "Set by srun: the part that batch --shard auto takes in a job without an array.",
    "SLURM_NTASKS": "Set by Slurm: how many tasks such a job has.",
    "SGE_TASK_ID": "Set by SGE in a job array: the part that batch --shard auto takes.",
    "SGE_TASK_FIRST": "Set by SGE: the first number of a job array.",
    "SGE_TASK_LAST": "Set by SGE: the last number of a job array.",
    "SGE_TASK_STEPSIZE": "Set by SGE: the step between numbers of a job array.",
    "LSB_JOBINDEX": "Set by LSF in a job array: the part that batch --shard auto takes.",
    "LSB_JOBINDEX_END": "Set by LSF: the last number of a job array.",
    "LSB_JOBINDEX_STEP": "Set by LSF: the step between numbers of a job array.",
    "PBS_ARRAY_INDEX": "Set by PBS Pro in a job array: the part that batch --shard auto/N takes.",
    "PBS_ARRAYID": "Set by Torque in a job array: the part that batch --shard auto/N takes.",
    "WORLD_SIZE": "Set by torchrun: how many processes train together.",
    "LOCAL_WORLD_SIZE": "Set by torchrun: how many of them share this machine, and its processors.",
    "LOCAL_RANK": "Set by torchrun: which of them this is, and which GPU it takes.",
    "TORCHELASTIC_RUN_ID": "Set by torchrun: then a second signal does not end train before it has saved.",
}
