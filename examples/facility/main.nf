// nextflow run main.nf: a volume and its numbers for every scan in raw/
process bone {
    publishDir "processed/${scan.baseName}"
    errorStrategy { task.exitStatus in [75, 137, 143] ? 'retry' : 'ignore' }
    input: path scan
    output: tuple path('volume.tif'), path('numbers.json')
    script: """
    bonectl reconstruct $scan -o volume.tif
    bonectl measure volume.tif --metrics bvtv --json > numbers.json
    """
}
workflow { Channel.fromPath('raw/*.npy') | bone }
