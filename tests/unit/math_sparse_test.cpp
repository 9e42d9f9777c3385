#include <doctest/doctest.h>

#include <map>
#include <random>

#include "math/sparse.hpp"

using namespace dtrain;

namespace {

SparseBatch random_batch(std::mt19937& engine, Index rows, std::uint32_t width, std::uint32_t share) {
  SparseBatch batch;
  batch.begins.push_back(0);
  for (Index r = 0; r < rows; ++r) {
    for (std::uint32_t f = 0; f < width; ++f)
      if (engine() % share == 0) {
        batch.indices.push_back(f);
        batch.values.push_back(static_cast<float>(engine() % 1000) / 100 - 5);
      }
    batch.begins.push_back(static_cast<std::uint32_t>(batch.indices.size()));
  }
  return batch;
}

std::vector<float> random_floats(std::mt19937& engine, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(engine() % 2000) / 1000 - 1;
  return values;
}

}  // namespace

TEST_CASE("a batch touches exactly the features that occur in it, whatever their order and number") {
  std::mt19937 engine(5);
  Touched touched;
  for (const std::uint32_t width : {1u, 7u, 300u, 5000u, 70000u}) {
    const SparseBatch batch = random_batch(engine, 9, width, width < 10 ? 2 : width / 5 + 1);
    touched.find(batch);
    std::map<std::uint32_t, std::uint32_t> slots;
    for (const std::uint32_t f : batch.indices) slots[f] = 0;
    std::uint32_t next = 0;
    for (auto& [feature, slot] : slots) slot = next++;
    REQUIRE(touched.count() == std::ssize(slots));
    for (const auto& [feature, slot] : slots) CHECK(touched.features()[slot] == feature);
    for (std::size_t k = 0; k < batch.indices.size(); ++k) CHECK(touched.slots()[k] == slots[batch.indices[k]]);
  }
  touched.find(SparseBatch{{0, 0}, {}, {}});
  CHECK(touched.count() == 0);
}

TEST_CASE("products of sparse rows have the bits of the same sums done one term after another") {
  std::mt19937 engine(6);
  constexpr Index rows = 8, width = 40;
  for (const Index cols : {1, 3, 16, 37}) {
    const SparseBatch batch = random_batch(engine, rows, width, 4);
    const std::vector<float> weights = random_floats(engine, static_cast<std::size_t>(width * cols));
    std::vector<float> out(static_cast<std::size_t>(rows * cols), 9);
    multiply(SparseRows{batch.begins, batch.indices, batch.values}, 0, ConstMatrix(weights.data(), width, cols),
             Matrix(out.data(), rows, cols));
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < static_cast<std::size_t>(cols); ++c) {
        float sum = 0;
        for (std::size_t k = batch.begins[r]; k < batch.begins[r + 1]; ++k)
          sum += batch.values[k] * weights[batch.indices[k] * static_cast<std::size_t>(cols) + c];
        CHECK(out[r * static_cast<std::size_t>(cols) + c] == sum);
      }
  }
}

TEST_CASE("a transposed product sums over the rows asked for, in their order, and is zero where there are none") {
  std::mt19937 engine(7);
  constexpr Index rows = 10, width = 30, cols = 5, first = 3, some = 4;
  const SparseBatch batch = random_batch(engine, rows, width, 5);
  Touched touched;
  touched.find(batch);
  const std::vector<float> delta = random_floats(engine, some * cols);
  std::vector<float> out(static_cast<std::size_t>(touched.count() * cols), 9);
  multiply_transposed(touched, first, some, ConstMatrix(delta.data(), some, cols), 0,
                      Matrix(out.data(), touched.count(), cols));
  for (std::size_t slot = 0; slot < touched.features().size(); ++slot)
    for (std::size_t c = 0; c < cols; ++c) {
      float sum = 0;
      for (std::size_t r = first; r < first + some; ++r)
        for (std::size_t k = batch.begins[r]; k < batch.begins[r + 1]; ++k)
          if (batch.indices[k] == touched.features()[slot]) sum += batch.values[k] * delta[(r - first) * cols + c];
      CHECK(out[slot * cols + c] == sum);
    }
}

TEST_CASE("runs of a matrix share each of its rows' elements among them, none twice and none left out") {
  const std::vector<std::uint32_t> rows{0, 2, 3, 9, 10, 41};
  for (const Index cols : {1, 3, 8}) {
    for (const Index run : {1, 2, 7, 10, 64, 1000}) {
      Index at = 0;
      for (Index begin = 0; begin < 42 * cols; begin += run) {
        const RowsWithin range = rows_within(rows, cols, begin, begin + run);
        if (range.count == 0) continue;
        CHECK(range.begin == at);
        CHECK(range.floats() > 0);
        CHECK(range.floats() <= run);
        CHECK(Index{rows[range.first]} * cols + (range.begin - static_cast<Index>(range.first) * cols) >= begin);
        at = range.end;
      }
      CHECK(at == std::ssize(rows) * cols);
    }
  }
  CHECK(rows_within({}, 4, 0, 100).count == 0);
}
