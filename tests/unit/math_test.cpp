#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "math/fold.hpp"
#include "math/gemm.hpp"
#include "math/row_products.hpp"
#include "math/teams.hpp"

using namespace dtrain;

namespace {

const bool blas_is_single = (set_blas_threads(1), true);

template <class Real>
std::vector<Real> random_numbers(Index count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<Real> out(static_cast<std::size_t>(count));
  for (Real& value : out) value = static_cast<Real>(static_cast<double>(engine()) / 2147483648.0 - 1);
  return out;
}

template <class Real>
Real element(Op op, const View<const Real>& view, Index r, Index c) {
  return op == Op::plain ? view.row(r)[c] : view.row(c)[r];
}

/// Largest distance of gemm() from a product in double, in units of k * epsilon.
template <class Real>
double product_error(Op op_a, Op op_b, Index m, Index n, Index k, Real beta, int threads) {
  const Index pad = 3;
  const Index ar = op_a == Op::plain ? m : k, ac = op_a == Op::plain ? k : m;
  const Index br = op_b == Op::plain ? k : n, bc = op_b == Op::plain ? n : k;
  const auto a = random_numbers<Real>(ar * (ac + pad), 1), b = random_numbers<Real>(br * (bc + pad), 2);
  auto c = random_numbers<Real>(m * (n + pad), 3);
  const auto before = c;
  const View<const Real> va(a.data(), ar, ac, ac + pad), vb(b.data(), br, bc, bc + pad);
  gemm<Real>(op_a, va, op_b, vb, beta, {c.data(), m, n, n + pad}, threads);
  double worst = 0;
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n + pad; ++j) {
      const auto at = static_cast<std::size_t>(i * (n + pad) + j);
      double expected = static_cast<double>(before[at]);
      if (j < n) {
        expected *= static_cast<double>(beta);
        for (Index x = 0; x < k; ++x)
          expected += static_cast<double>(element(op_a, va, i, x)) * static_cast<double>(element(op_b, vb, x, j));
      }
      worst = std::max(worst, std::abs(expected - static_cast<double>(c[at])));
    }
  return worst / static_cast<double>(k + 1) / static_cast<double>(std::numeric_limits<Real>::epsilon());
}

}  // namespace

TEST_CASE_TEMPLATE("a product agrees with sums in double for odd shapes, strides, ops, beta and threads", Real, float,
                   double) {
  const Index shapes[][3] = {{1, 1, 1},    {1, 10, 7},    {7, 1, 33},    {13, 17, 19},    {16, 512, 784},
                             {33, 100, 1}, {3, 5, 300},   {100, 10, 64}, {131, 257, 129}, {512, 10, 128},
                             {7, 45, 300}, {600, 33, 40}, {4, 32, 32},   {129, 64, 513}};
  for (const auto& [m, n, k] : shapes)
    for (const Op op_a : {Op::plain, Op::transposed})
      for (const Op op_b : {Op::plain, Op::transposed})
        for (const int threads : {1, 2, 3}) {
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(threads);
          const Real beta = threads == 2 ? Real{1} : Real{0};
          CHECK(product_error<Real>(op_a, op_b, m, n, k, beta, threads) < 2);
        }
}

TEST_CASE("the parts of a product cover it exactly once") {
  for (const Index rows : {1, 5, 16, 100, 513})
    for (const Index cols : {1, 10, 16, 100, 512})
      for (const int teams : {1, 2, 3, 7}) {
        std::vector<int> covered(static_cast<std::size_t>(rows * cols));
        for (int team = 0; team < teams; ++team) {
          const Part part = part_of(rows, cols, teams, team);
          for (Index r = part.row; r < part.row + part.rows; ++r)
            for (Index c = part.col; c < part.col + part.cols; ++c) ++covered[static_cast<std::size_t>(r * cols + c)];
        }
        CHECK(std::all_of(covered.begin(), covered.end(), [](int times) { return times == 1; }));
      }
}

TEST_CASE("the same product on the same threads has the same bits") {
  const auto a = random_numbers<float>(64 * 300, 1), b = random_numbers<float>(300 * 200, 2);
  std::vector<float> once(64 * 200), again(64 * 200);
  for (const int threads : {1, 2, 3})
    for (int repeat = 0; repeat < 20; ++repeat) {
      gemm<float>(Op::plain, {a.data(), 64, 300}, Op::plain, {b.data(), 300, 200}, 0,
                  {(repeat == 0 ? once : again).data(), 64, 200}, threads);
      if (repeat > 0) CHECK(once == again);
    }
}

TEST_CASE("an element of a row product has the same bits whatever the other rows and columns are") {
  if (!row_products_supported()) {
    MESSAGE("skipped: this CPU has no AVX-512");
    return;
  }
  const Index m = 141, n = 77, k = 530;
  const auto a = random_numbers<float>(m * k, 1), b = random_numbers<float>(k * n, 2);
  std::vector<float> whole(static_cast<std::size_t>(m * n)), part(whole.size());
  multiply_rows({a.data(), m, k}, {b.data(), k, n}, {whole.data(), m, n});
  for (Index r = 0; r < m; r += 3)
    for (Index c = 0; c < n; c += 19)
      multiply_rows({a.data() + r * k, 3, k}, {b.data() + c, k, std::min<Index>(19, n - c), n},
                    {part.data() + r * n + c, 3, std::min<Index>(19, n - c), n});
  CHECK(part == whole);
  const View<const float> transposed(b.data(), n, k);
  multiply_rows_transposed({a.data(), m, k}, transposed, {whole.data(), m, n});
  for (Index r = 0; r < m; r += 3)
    for (Index c = 0; c < n; c += 19) {
      const Index cols = std::min<Index>(19, n - c);
      multiply_rows_transposed({a.data() + r * k, 3, k}, transposed.below(c, cols),
                               {part.data() + r * n + c, 3, cols, n});
    }
  CHECK(part == whole);
}

TEST_CASE("a cleared result ignores what was there, even if that was not a number") {
  const auto a = random_numbers<float>(8 * 8, 1);
  std::vector<float> c(64, std::numeric_limits<float>::quiet_NaN());
  gemm<float>(Op::plain, {a.data(), 8, 8}, Op::plain, {a.data(), 8, 8}, 0, {c.data(), 8, 8}, 1);
  CHECK(all_finite(c));
}

TEST_CASE("a dimension beyond what BLAS can count is refused") {
  float number = 1;
  const Index beyond = Index{1} << 31;
  const View<const float> a(&number, 1, 1, beyond), b(&number, 1, 1);
  CHECK_THROWS(gemm<float>(Op::plain, a, Op::plain, b, 0, {&number, 1, 1}, 1));
}

TEST_CASE("BLAS shares OpenMP's threads") { CHECK(blas_uses_openmp()); }

TEST_CASE("every team runs once") {
  for (const int teams : {1, 2, 5}) {
    std::vector<int> times(5);
    in_teams(teams, [&](int team) { ++times[static_cast<std::size_t>(team)]; });
    for (int team = 0; team < 5; ++team) CHECK(times[static_cast<std::size_t>(team)] == (team < teams ? 1 : 0));
  }
}

TEST_CASE("a fold rounds every product and every sum, in the order given, whatever its length") {
  for (const Index count : {0, 1, 15, 16, 17, 4095, 4096, 4097, 10000})
    for (const std::size_t many : {1u, 2u, 3u, 5u}) {
      std::vector<std::vector<float>> data;
      std::vector<Share> shares;
      for (std::size_t s = 0; s < many; ++s) {
        data.push_back(random_numbers<float>(count, static_cast<std::uint32_t>(s)));
        shares.push_back({data.back().data(), 1.0f / static_cast<float>(s + 3)});
      }
      std::vector<float> out(static_cast<std::size_t>(count)), expected(out.size());
      fold(shares, out);
      for (std::size_t k = 0; k < out.size(); ++k) {
        volatile float sum = shares[0].factor * data[0][k];
        for (std::size_t s = 1; s < many; ++s) {
          const volatile float product = shares[s].factor * data[s][k];
          sum = sum + product;
        }
        expected[k] = sum;
      }
      CHECK(out == expected);
    }
}

TEST_CASE("a fold in pieces, from unaligned memory, in place or step by step has the bits of the whole") {
  const Index count = 9001;
  const auto a = random_numbers<float>(count, 1), b = random_numbers<float>(count + 1, 2);
  const auto c = random_numbers<float>(count, 3);
  const Share shares[] = {{a.data(), 0.3f}, {b.data() + 1, 0.5f}, {c.data(), 0.2f}};
  std::vector<float> whole(a.size()), other(a.size());
  fold(shares, whole);
  for (std::size_t begin = 0; begin < a.size(); begin += 1237) {
    const std::size_t length = std::min<std::size_t>(1237, a.size() - begin);
    const Share pieces[] = {{a.data() + begin, 0.3f}, {b.data() + 1 + begin, 0.5f}, {c.data() + begin, 0.2f}};
    fold(pieces, std::span(other).subspan(begin, length));
  }
  CHECK(other == whole);
  other = a;
  const Share in_place[] = {{other.data(), 0.3f}, shares[1], shares[2]};
  fold(in_place, other);
  CHECK(other == whole);
  other = a;
  fold_first(0.3f, other, other);
  fold_next(0.5f, std::span(b).subspan(1), other);
  fold_next(0.2f, c, other);
  CHECK(other == whole);
}

TEST_CASE("a single contribution is folded bit for bit") {
  const auto a = random_numbers<float>(5000, 4);
  std::vector<float> out(a.size());
  const Share share{a.data(), 1};
  fold({&share, 1}, out);
  CHECK(out == a);
}

TEST_CASE("a sum of squares is exact for integers and close to the naive sum otherwise") {
  std::vector<float> whole(4096);
  double expected = 0;
  for (std::size_t k = 0; k < whole.size(); ++k) {
    whole[k] = static_cast<float>(k % 1000) - 500;
    expected += static_cast<double>(whole[k]) * static_cast<double>(whole[k]);
  }
  CHECK(sum_of_squares(whole) == expected);
  for (const std::size_t count : {0u, 1u, 15u, 17u, 100u, 4095u}) {
    const auto values = random_numbers<float>(static_cast<Index>(count), 9);
    double sum = 0;
    for (const float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
    CHECK(sum_of_squares(values) == doctest::Approx(sum).epsilon(1e-14));
  }
}

TEST_CASE("a sum of squares adds sixteen lanes and then halves, at every vector width") {
  const auto values = random_numbers<float>(4001, 5);
  volatile double lanes[16] = {};
  for (std::size_t k = 0; k < values.size(); ++k) {
    const volatile double square = static_cast<double>(values[k]) * static_cast<double>(values[k]);
    lanes[k % 16] = lanes[k % 16] + square;
  }
  for (std::size_t half = 8; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane] + lanes[lane + half];
  CHECK(sum_of_squares(values) == lanes[0]);
}

TEST_CASE("one value that is not finite is found wherever it is") {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()})
    for (std::size_t at = 0; at < 100; at += 7) {
      std::vector<float> values(100, std::numeric_limits<float>::max());
      CHECK(all_finite(values));
      values[at] = bad;
      CHECK_FALSE(all_finite(values));
    }
}

TEST_CASE("a block is zeroed and lies on a cache line") {
  for (const Index count : {0, 1, 1000}) {
    Arena arena(count);
    CHECK(arena.size() == count);
    CHECK(reinterpret_cast<std::uintptr_t>(arena.data()) % 64 == 0);
    for (const float value : arena.span()) CHECK(value == 0);
  }
}
