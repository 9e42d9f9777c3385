/* What bench_allreduce measures, by MPI_Allreduce: median milliseconds of one in-place sum of float vectors.
 * Build: mpicc -O2 peer_allreduce.c -o peer_allreduce; run: mpirun -n 2 ./peer_allreduce BYTES... (prints BYTES MS). */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { samples = 15, warm_up = 3 };

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static double median_milliseconds(float* values, int count, int repetitions) {
  double taken[samples];
  for (int sample = -warm_up; sample < samples; ++sample) {
    for (int k = 0; k < count; ++k) values[k] = 1;
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    for (int k = 0; k < repetitions; ++k)
      MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    if (sample >= 0) taken[sample] = 1e3 * (MPI_Wtime() - start) / repetitions;
  }
  qsort(taken, samples, sizeof *taken, ascending);
  return taken[samples / 2];
}

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  for (int a = 1; a < argc; ++a) {
    const long bytes = atol(argv[a]);
    const int count = (int)(bytes / (long)sizeof(float));
    const long wanted = 30000000 / bytes;
    float* values = malloc((size_t)bytes);
    const double milliseconds = median_milliseconds(values, count, (int)(wanted < 3 ? 3 : wanted > 200 ? 200 : wanted));
    for (int k = 0; k < count; ++k) values[k] = (float)(rank + 1);
    MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    if (values[count - 1] != (float)(ranks * (ranks + 1) / 2)) MPI_Abort(MPI_COMM_WORLD, 1);
    if (rank == 0) printf("%ld %.4f\n", bytes, milliseconds);
    free(values);
  }
  MPI_Finalize();
  return 0;
}
