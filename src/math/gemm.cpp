#include "math/gemm.hpp"

#include <cblas.h>
#include <cassert>
#include <limits>
#include <string>

#include "base/error.hpp"
#include "base/time.hpp"
#include "math/row_products.hpp"
#include "math/teams.hpp"

namespace dtrain {
namespace {

// Starting a team costs about what this many operations cost.
constexpr double team_grain = 5e5;
// Rows or columns of a part are multiples of the widest kernel.
constexpr Index part_step = 32;

CBLAS_TRANSPOSE flag(Op op) { return op == Op::plain ? CblasNoTrans : CblasTrans; }
int narrow(Index value) { return static_cast<int>(value); }

template <class Real>
Index depth(const Product<Real>& p) {
  return p.op_a == Op::plain ? p.a.cols : p.a.rows;
}

void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, View<const float> a, View<const float> b,
          float beta, View<float> c) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a.data, narrow(a.stride), b.data, narrow(b.stride), beta, c.data,
              narrow(c.stride));
}

void blas(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, View<const double> a, View<const double> b,
          double beta, View<double> c) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, a.data, narrow(a.stride), b.data, narrow(b.stride), beta, c.data,
              narrow(c.stride));
}

/// The shapes at which row products were measured to be faster than BLAS. True if it took the product over.
bool without_blas(Op op_a, Op op_b, View<const float> a, View<const float> b, float beta, View<float> c) {
  const bool fits = op_a == Op::plain && beta == 0 && c.rows >= 4 && c.rows <= 512 && c.cols >= 32 && a.cols >= 32;
  if (!fits || !row_products_supported()) return false;
  if (op_b == Op::plain)
    multiply_rows(a, b, c);
  else
    multiply_rows_transposed(a, b, c);
  return true;
}

bool without_blas(Op, Op, View<const double>, View<const double>, double, View<double>) { return false; }

template <class Real>
bool shapes_agree(const Product<Real>& p) {
  const Index m = p.op_a == Op::plain ? p.a.rows : p.a.cols;
  const Index k = p.op_b == Op::plain ? p.b.rows : p.b.cols;
  const Index n = p.op_b == Op::plain ? p.b.cols : p.b.rows;
  return m == p.c.rows && n == p.c.cols && k == depth(p);
}

}  // namespace

template <class Real>
void Product<Real>::check() const {
  assert(shapes_agree(*this));
  for (const Index value : {a.rows, a.stride, b.rows, b.stride, c.rows, c.stride})
    if (value > std::numeric_limits<int>::max())
      fail(Kind::internal, "a matrix dimension of {} is beyond what BLAS can count", value);
}

template <class Real>
int Product<Real>::teams(int threads) const {
  const double operations =
      2 * static_cast<double>(c.rows) * static_cast<double>(c.cols) * static_cast<double>(depth(*this));
  return useful_teams(operations, team_grain, threads);
}

Part part_of(Index rows, Index cols, int teams, int team) {
  if (cols >= rows) {
    const Index begin = cut(cols, teams, team, part_step);
    return {0, rows, begin, cut(cols, teams, team + 1, part_step) - begin};
  }
  const Index begin = cut(rows, teams, team, part_step);
  return {begin, cut(rows, teams, team + 1, part_step) - begin, 0, cols};
}

template <class Real>
void multiply(const Product<Real>& p, const Part& part) {
  if (part.rows == 0 || part.cols == 0) return;
  View<const Real> a = p.a, b = p.b;
  a = p.op_a == Op::plain ? a.below(part.row, part.rows)
                          : View<const Real>{a.data + part.row, a.rows, part.rows, a.stride};
  b = p.op_b == Op::plain ? View<const Real>{b.data + part.col, b.rows, part.cols, b.stride}
                          : b.below(part.col, part.cols);
  const View<Real> c(p.c.row(part.row) + part.col, part.rows, part.cols, p.c.stride);
  if (without_blas(p.op_a, p.op_b, a, b, p.beta, c)) return;
  blas(flag(p.op_a), flag(p.op_b), narrow(c.rows), narrow(c.cols), narrow(depth(p)), a, b, p.beta, c);
}

template <class Real>
void gemm(Op op_a, View<const Real> a, Op op_b, View<const Real> b, Real beta, View<Real> c, int threads) {
  const Product<Real> product{op_a, a, op_b, b, beta, c};
  product.check();
  const int teams = product.teams(threads);
  in_teams(teams, [&](int team) { multiply(product, part_of(c.rows, c.cols, teams, team)); });
}

const char* blas_kernels() {
  static const std::string name =
      std::string(openblas_get_corename()) + (row_products_supported() ? " and AVX-512 row products" : "");
  return name.c_str();
}

bool blas_uses_openmp() { return openblas_get_parallel() == OPENBLAS_OPENMP; }

void set_blas_threads(int threads) { openblas_set_num_threads(threads); }

double measure_peak(int n, int threads) {
  const Index side = n;
  Arena a(side * side), b(side * side), c(side * side);
  const double operations = 2.0 * n * n * n;
  double best = 0;
  for (int run = 0; run < 6; ++run) {
    const auto start = Clock::now();
    gemm<float>(Op::plain, {a.data(), side, side}, Op::plain, {b.data(), side, side}, 0, {c.data(), side, side},
                threads);
    best = std::max(best, operations / seconds_since(start) / 1e9);
  }
  return best;
}

template struct Product<float>;
template struct Product<double>;
template void multiply(const Product<float>&, const Part&);
template void multiply(const Product<double>&, const Part&);
template void gemm(Op, View<const float>, Op, View<const float>, float, View<float>, int);
template void gemm(Op, View<const double>, Op, View<const double>, double, View<double>, int);

}  // namespace dtrain
