#pragma once
/// Matrix products: the only door to BLAS.

#include "math/matrix.hpp"

namespace dtrain {

enum class Op { plain, transposed };

/// c = op(a) op(b) + beta c, for float or double. Shapes: op(a) is [m, k], op(b) is [k, n], c is [m, n].
///
/// `threads` teams split c among themselves (by columns or by rows, whichever is longer) and call a single-threaded
/// kernel each: the same bits for the same `threads`, and cheaper than BLAS's own threads where m is small. Where b is
/// weights and a has few rows, and the CPU has AVX-512, row_products.hpp takes BLAS's place.
/// Asserts shapes; dimensions beyond int throw Error(Kind::internal). May not be called from inside a parallel region.
template <class Real>
void gemm(Op op_a, View<const Real> a, Op op_b, View<const Real> b, Real beta, View<Real> c, int threads);

/// A product whose parts a caller computes itself, in order to go on with each part while it is in that core's cache.
template <class Real>
struct Product {
  Op op_a;
  View<const Real> a;
  Op op_b;
  View<const Real> b;
  Real beta;
  View<Real> c;

  /// Throws Error(Kind::internal) where a dimension is beyond int; to be called once before the parts.
  void check() const;
  /// Teams that gemm() would use.
  int teams(int threads) const;
};

/// A block of c.
struct Part {
  Index row = 0;
  Index rows = 0;
  Index col = 0;
  Index cols = 0;
};

/// The block that gemm() gives to `team`; may be empty. The blocks of all teams cover c once.
Part part_of(Index rows, Index cols, int teams, int team);

/// One block of a checked product on the calling thread; callable from inside in_teams().
template <class Real>
void multiply(const Product<Real>& product, const Part& part);

/// Name of the kernels that BLAS chose for this CPU ("SkylakeX"), and of our own where they are used; recorded with
/// every run, since bits depend on it.
const char* blas_kernels();

/// True if BLAS is the OpenMP build, so that there is one pool of threads. Checked at start.
bool blas_uses_openmp();

/// BLAS's own threads, for this process: 1 wherever gemm() above is used. (OpenBLAS sets OpenMP's default with it.)
void set_blas_threads(int threads);

/// GFLOP/s of a square product of side n on `threads` threads, the best of several runs: the machine's peak, for bench.
double measure_peak(int n, int threads);

}  // namespace dtrain
