#include "data/storage.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

// Wider registers where the machine has them. The bits are the same: products and sums are not contracted.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(DTRAIN_NO_CLONES)
#define DTRAIN_DATA_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define DTRAIN_DATA_CLONES
#endif

namespace dtrain::data {
namespace {

DTRAIN_DATA_CLONES void encode_bytes(const unsigned char* in, float shift, float scale, std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (static_cast<float>(in[j]) - shift) * scale;
}

DTRAIN_DATA_CLONES void encode_bytes(const unsigned char* in, const float* shift, const float* scale, std::size_t n,
                                     float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (static_cast<float>(in[j]) - shift[j]) * scale[j];
}

/// `in` may be `out`.
DTRAIN_DATA_CLONES void encode_floats(const float* in, float shift, float scale, std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (in[j] - shift) * scale;
}

DTRAIN_DATA_CLONES void encode_floats(const float* in, const float* shift, const float* scale, std::size_t n,
                                      float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (in[j] - shift[j]) * scale[j];
}

void encode_floats(const float* in, const Affine& affine, std::size_t n, float* out) {
  if (affine.uniform()) {
    encode_floats(in, affine.shift[0], affine.scale[0], n, out);
  } else {
    encode_floats(in, affine.shift.data(), affine.scale.data(), n, out);
  }
}

std::size_t size(Index n) { return static_cast<std::size_t>(n); }

class ByteStorage final : public Storage {
 public:
  ByteStorage(std::string bytes, std::size_t offset, Index rows, Index width)
      : bytes_(std::move(bytes)), offset_(offset), rows_(rows), width_(width) {}
  Index rows() const override { return rows_; }
  Index width() const override { return width_; }
  std::size_t bytes() const override { return bytes_.capacity(); }

  void encode(std::uint32_t row, const Affine& affine, float* out) const override {
    const auto* in = reinterpret_cast<const unsigned char*>(at(row));
    if (affine.uniform()) {
      encode_bytes(in, affine.shift[0], affine.scale[0], size(width_), out);
    } else {
      encode_bytes(in, affine.shift.data(), affine.scale.data(), size(width_), out);
    }
  }

  std::unique_ptr<Storage> select(std::span<const std::uint32_t> rows) const override {
    std::string kept;
    kept.reserve(rows.size() * size(width_));
    for (const std::uint32_t row : rows) kept.append(at(row), size(width_));
    return byte_storage(std::move(kept), 0, std::ssize(rows), width_);
  }

 private:
  const char* at(std::uint32_t row) const { return bytes_.data() + offset_ + row * size(width_); }
  std::string bytes_;
  std::size_t offset_;
  Index rows_, width_;
};

std::vector<float> select_rows(const std::vector<float>& values, std::size_t width,
                               std::span<const std::uint32_t> rows) {
  std::vector<float> kept;
  kept.reserve(rows.size() * width);
  for (const std::uint32_t row : rows) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * width);
    kept.insert(kept.end(), begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  return kept;
}

class FloatStorage final : public Storage {
 public:
  FloatStorage(std::vector<float> values, Index rows, Index width)
      : values_(std::move(values)), rows_(rows), width_(width) {}
  Index rows() const override { return rows_; }
  Index width() const override { return width_; }
  std::size_t bytes() const override { return values_.capacity() * sizeof(float); }
  void encode(std::uint32_t row, const Affine& affine, float* out) const override {
    encode_floats(values_.data() + row * size(width_), affine, size(width_), out);
  }
  std::unique_ptr<Storage> select(std::span<const std::uint32_t> rows) const override {
    return float_storage(select_rows(values_, size(width_), rows), std::ssize(rows), width_);
  }

 private:
  std::vector<float> values_;
  Index rows_, width_;
};

class SparseStorage final : public Storage {
 public:
  SparseStorage(Sparse sparse, Index width) : sparse_(std::move(sparse)), width_(width) {}
  Index rows() const override { return std::ssize(sparse_.begins) - 1; }
  Index width() const override { return width_; }
  std::size_t bytes() const override {
    return sparse_.begins.capacity() * sizeof(std::uint64_t) + sparse_.indices.capacity() * sizeof(std::uint32_t) +
           sparse_.values.capacity() * sizeof(float);
  }
  const Sparse* sparse() const override { return &sparse_; }
  void encode(std::uint32_t row, const Affine& affine, float* out) const override {
    std::fill_n(out, width_, 0.0f);
    for (std::size_t k = sparse_.begins[row]; k < sparse_.begins[row + 1]; ++k)
      out[sparse_.indices[k]] = sparse_.values[k];
    encode_floats(out, affine, size(width_), out);
  }
  std::unique_ptr<Storage> select(std::span<const std::uint32_t> rows) const override {
    Sparse kept;
    for (const std::uint32_t row : rows) {
      for (std::size_t k = sparse_.begins[row]; k < sparse_.begins[row + 1]; ++k) {
        kept.indices.push_back(sparse_.indices[k]);
        kept.values.push_back(sparse_.values[k]);
      }
      kept.begins.push_back(kept.values.size());
    }
    return sparse_storage(std::move(kept), width_);
  }

 private:
  Sparse sparse_;
  Index width_;
};

class TableStorage final : public Storage {
 public:
  TableStorage(std::vector<float> cells, Index rows, std::vector<Index> levels)
      : cells_(std::move(cells)), rows_(rows), levels_(std::move(levels)) {
    for (const Index count : levels_) width_ += std::max<Index>(1, count);
  }
  Index rows() const override { return rows_; }
  Index width() const override { return width_; }
  std::size_t bytes() const override { return cells_.capacity() * sizeof(float); }
  void encode(std::uint32_t row, const Affine& affine, float* out) const override {
    const float* cell = cells_.data() + row * levels_.size();
    float* next = out;
    for (const Index count : levels_) {
      if (count == 0) {
        *next++ = *cell++;
        continue;
      }
      std::fill_n(next, count, 0.0f);
      if (*cell >= 0) next[static_cast<Index>(*cell)] = 1;
      next += count;
      ++cell;
    }
    encode_floats(out, affine, size(width_), out);
  }
  std::unique_ptr<Storage> select(std::span<const std::uint32_t> rows) const override {
    return table_storage(select_rows(cells_, levels_.size(), rows), std::ssize(rows), levels_);
  }

 private:
  std::vector<float> cells_;
  Index rows_, width_ = 0;
  std::vector<Index> levels_;
};

}  // namespace

std::unique_ptr<Storage> byte_storage(std::string bytes, std::size_t offset, Index rows, Index width) {
  return std::make_unique<ByteStorage>(std::move(bytes), offset, rows, width);
}

std::unique_ptr<Storage> float_storage(std::vector<float> values, Index rows, Index width) {
  return std::make_unique<FloatStorage>(std::move(values), rows, width);
}

std::unique_ptr<Storage> sparse_storage(Sparse sparse, Index width) {
  return std::make_unique<SparseStorage>(std::move(sparse), width);
}

std::unique_ptr<Storage> table_storage(std::vector<float> cells, Index rows, std::vector<Index> levels) {
  return std::make_unique<TableStorage>(std::move(cells), rows, std::move(levels));
}

}  // namespace dtrain::data
