#!/bin/bash
# Slurm job: check one plan on many nodes, put down before the time limit, requeued and taken up again.
#   sbatch scripts/cluster/slurm.sh EXPORT_FOLDER RESULT_FOLDER [options of `mcverify plan`]
# docs/cluster.md explains. One rank a node, a thread a core: the least memory and the fewest messages.
#SBATCH --job-name=mcverify
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=16G
#SBATCH --time=01:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=mcverify-%j.log

set -u
case_folder=$1 result_folder=$2
shift 2
most_requeues=20 # a run that never gets through must not go round for ever

# Slurm wakes this shell (B:) two minutes before the limit; the shell signals srun, which signals every rank.
# SIGTERM, of preemption or scancel, goes the same way.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 \
    mcverify plan "$case_folder" --out "$result_folder" --threads "$SLURM_CPUS_PER_TASK" "$@" &
step=$!
trap 'woken=1; kill -USR1 "$step"' USR1 TERM

# `wait` returns early when a signal comes; the step's own code comes with the next one.
woken=1
while [ "$woken" -eq 1 ]; do
    woken=0
    wait "$step"
    code=$?
done

if [ "$code" -eq 75 ]; then # suspended: the checkpoint is written, the same command goes on
    if [ "${SLURM_RESTART_COUNT:-0}" -lt "$most_requeues" ]; then
        scontrol requeue "$SLURM_JOB_ID"
    else
        echo "given up after $most_requeues requeues; the checkpoint in $result_folder is kept" >&2
    fi
fi
exit "$code"
