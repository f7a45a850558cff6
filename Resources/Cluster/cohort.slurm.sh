#!/bin/bash
# A cohort as one Slurm job: a scheduler and the command on the job's first node, a worker for each task.
#
#   INPUT=/data/cts OUTPUT=/data/results sbatch --ntasks=8 --cpus-per-task=4 --mem-per-cpu=2G cohort.slurm.sh
#
# With GPUs add --gpus-per-task=1. Run the same line again after a time limit or a failure: it goes on where it stopped.
# INPUT, OUTPUT and the model must lie where every node sees them. OPTIONS holds further options of the command.
#SBATCH --job-name=attention-unet-seg
#SBATCH --time=24:00:00
set -u
: "${INPUT:?the folder, table or list of CTs}" "${OUTPUT:?the folder for the results}"
mkdir -p "$OUTPUT"
address="$OUTPUT/.scheduler-${SLURM_JOB_ID:-$$}.json"
rm -f "$address"
trap 'rm -f "$address"; kill $(jobs -p) 2>/dev/null' EXIT

export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" OPENBLAS_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
dask scheduler ${LISTEN:+--host "$LISTEN"} --port 0 --no-dashboard --scheduler-file "$address" &
until [ -s "$address" ]; do
    sleep 0.2
    kill -0 $! 2>/dev/null || { echo "The scheduler did not start." >&2; exit 1; }
done
# One case at a time in each worker; how much memory there is, Slurm decides.
srun dask worker --scheduler-file "$address" --nworkers 1 --nthreads 1 --no-nanny --no-dashboard \
    --memory-limit 0 --death-timeout 600 --local-directory "${TMPDIR:-/tmp}" &

# shellcheck disable=SC2086  # several words on purpose
attention-unet-seg cohort "$INPUT" -o "$OUTPUT" --scheduler "$address" ${OPTIONS:-}
