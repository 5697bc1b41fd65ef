#!/bin/bash
# Slurm job: check one plan on the cores of one node. No MPI is needed.
#   sbatch scripts/cluster/slurm_node.sh EXPORT_FOLDER RESULT_FOLDER [options of `mcverify plan`]
# Two minutes before the time limit the run writes its checkpoint and ends with exit code 75; the same
# command resumes it. docs/cluster.md explains; slurm.sh beside this file uses many nodes and requeues itself.
#SBATCH --job-name=mcverify
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=8G
#SBATCH --time=02:00:00
#SBATCH --signal=USR1@120
#SBATCH --output=mcverify-%j.log

set -u
case_folder=$1 result_folder=$2
shift 2

exec srun --ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    mcverify plan "$case_folder" --out "$result_folder" --threads "$SLURM_CPUS_PER_TASK" "$@"
