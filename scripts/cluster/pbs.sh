#!/bin/bash
# PBS job: check one plan on many nodes, put down before the time limit and submitted again.
#   qsub -v CASE=/path/export,RESULT=/path/result scripts/cluster/pbs.sh
# Further options of `mcverify plan` go into OPTIONS. docs/cluster.md explains.
#PBS -N mcverify
#PBS -l select=4:ncpus=32:mpiprocs=1:ompthreads=32:mem=16gb
#PBS -l walltime=01:00:00
#PBS -j oe
#PBS -r y

set -u
cd "$PBS_O_WORKDIR" || exit 2
most_rounds=20 # a run that never gets through must not go round for ever
round=${ROUND:-0}
job_script=$PBS_O_WORKDIR/scripts/cluster/pbs.sh

# PBS has no early warning of the limit, so a clock signals the run, two minutes before.
limit=$(qstat -f "$PBS_JOBID" | sed -n 's/ *Resource_List.walltime = //p')
IFS=: read -r hours minutes seconds <<<"$limit"
seconds_left=$((10#$hours * 3600 + 10#$minutes * 60 + 10#$seconds - 120))

# shellcheck disable=SC2086 # OPTIONS are words
mpiexec mcverify plan "$CASE" --out "$RESULT" --threads "${OMP_NUM_THREADS:-32}" ${OPTIONS:-} &
step=$!
trap 'woken=1; kill -USR1 "$step"' USR1 TERM # qdel and preemption send SIGTERM
(sleep "$seconds_left" && kill -USR1 "$step") 2>/dev/null &
clock=$!

woken=1
while [ "$woken" -eq 1 ]; do
    woken=0
    wait "$step"
    code=$?
done
kill "$clock" 2>/dev/null

if [ "$code" -eq 75 ] && [ "$round" -lt "$most_rounds" ]; then # suspended: the same command goes on
    qsub -v "CASE=$CASE,RESULT=$RESULT,OPTIONS=${OPTIONS:-},ROUND=$((round + 1))" "$job_script"
fi
exit "$code"
