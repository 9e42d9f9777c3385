#pragma once
/// Views and blocks of numbers. Row-major; a view never owns.

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "base/random.hpp"  // Index

namespace dtrain {

/// rows x cols numbers; row r starts at data + r * stride.
template <class Real>
struct View {
  Real* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  View() = default;
  View(Real* d, Index r, Index c) : data(d), rows(r), cols(c), stride(c) {}
  View(Real* d, Index r, Index c, Index s) : data(d), rows(r), cols(c), stride(s) {}
  operator View<const Real>() const { return {data, rows, cols, stride}; }

  Real* row(Index r) const { return data + r * stride; }
  View top(Index n) const { return {data, n, cols, stride}; }
  View below(Index first, Index n) const { return {data + first * stride, n, cols, stride}; }
};

using Matrix = View<float>;
using ConstMatrix = View<const float>;

/// One 64-byte-aligned block, zeroed: of a large one, what is never written takes up no memory. Weights, gradient and
/// each optimizer moment are one each.
template <class Real>
class Block64 {
 public:
  Block64() = default;
  explicit Block64(Index count);
  /// Memory of somebody else's: zeroed, aligned, and there as long as `owner` is.
  Block64(Real* data, Index count, std::shared_ptr<void> owner)
      : data_(data, Free{std::move(owner), nullptr}), count_(count) {}
  Block64(Block64&&) noexcept = default;
  Block64& operator=(Block64&&) noexcept = default;

  std::span<Real> span() { return {data_.get(), static_cast<std::size_t>(count_)}; }
  std::span<const Real> span() const { return {data_.get(), static_cast<std::size_t>(count_)}; }
  Real* data() { return data_.get(); }
  const Real* data() const { return data_.get(); }
  Index size() const { return count_; }

 private:
  struct Free {
    std::shared_ptr<void> owner = nullptr;
    void* block = nullptr;
    void operator()(Real*) const { std::free(block); }
  };
  std::unique_ptr<Real[], Free> data_;
  Index count_ = 0;
};

using Arena = Block64<float>;

/// Where arenas come from: the heap, or memory that other processes see.
using MakeArena = std::function<Arena(Index count)>;

template <class Real>
Block64<Real>::Block64(Index count) : count_(count) {
  constexpr std::size_t alignment = 64;
  std::size_t room = static_cast<std::size_t>(count) * sizeof(Real) + 2 * alignment;
  void* const block = std::calloc(1, room);
  if (block == nullptr) throw std::bad_alloc();
  void* begin = block;
  data_ = {static_cast<Real*>(std::align(alignment, room - alignment, begin, room)), Free{nullptr, block}};
}

}  // namespace dtrain
