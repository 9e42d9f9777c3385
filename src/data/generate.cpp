#include "data/generate.hpp"

#include <array>
#include <bit>
#include <cmath>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"

namespace dtrain::data {
namespace {

/// Changes when any generated row would: it is part of the content's hash.
constexpr std::uint64_t generator_version = 1;

/// What draws are for: the `a` of draw(); its `c` counts blocks from 1. Digits have their own (digits.cpp).
enum Stream : std::uint32_t { centre_draws = 4, feature_draws = 5, weight_draws = 6 };

/// Two classes whose centres are this many spreads apart are told apart 97.7 % of the time.
constexpr double centre_distance = 4;

/// out[j] = a standard normal for j < width, drawn for (stream, index).
void fill_normals(std::uint64_t seed, Stream stream, Index index, std::span<double> out) {
  for (std::size_t j = 0; j < out.size(); j += 4) {
    const Block block =
        draw(seed, Purpose::generate, stream, static_cast<std::uint64_t>(index), static_cast<std::uint32_t>(1 + j / 4));
    const auto first = normals(block[0], block[1]), second = normals(block[2], block[3]);
    const std::array<double, 4> four{first[0], first[1], second[0], second[1]};
    std::copy_n(four.begin(), std::min<std::size_t>(4, out.size() - j), out.begin() + static_cast<std::ptrdiff_t>(j));
  }
}

/// The classes of consecutive rows, one permutation a block of rows.
class Classes {
 public:
  Classes(std::uint64_t seed, Index classes) : seed_(seed), classes_(classes) {}
  Index of(Index row) {
    if (row / classes_ != block_) {
      block_ = row / classes_;
      permutation(seed_, Purpose::generate, static_cast<std::uint32_t>(block_), classes_, order_);
    }
    return order_[static_cast<std::size_t>(row % classes_)];
  }

 private:
  std::uint64_t seed_;
  Index classes_, block_ = -1;
  std::vector<std::uint32_t> order_;
};

class Generator {
 public:
  Generator(const job::Generate& generate, std::uint64_t seed, Part part)
      : generate_(generate),
        seed_(seed),
        first_(part == Part::train ? 0 : generate.rows),
        rows_(part == Part::train ? generate.rows : generate.test_rows) {
    if (rows_ < 1) fail(Kind::data, "data.generate: there are no rows to make");
  }

  std::uint64_t hash() const {
    const auto number = [](auto value) { return std::bit_cast<std::uint64_t>(value); };
    const std::array<std::uint64_t, 9> parameters{generator_version,
                                                  seed_,
                                                  static_cast<std::uint64_t>(generate_.set),
                                                  number(first_),
                                                  number(rows_),
                                                  number(width()),
                                                  number(classes()),
                                                  number(generate_.noise),
                                                  0};
    return fast_hash(std::as_bytes(std::span(parameters)));
  }

  Table table(bool make_rows) const {
    TableContent content;
    if (make_rows) content = make();
    content.rows = make_rows ? rows_ : 0;
    content.width = width();
    content.target.emplace();
    content.origin.files = {{"data.generate", "", 0, {}, {}}};
    content.hash = hash();
    return Table(std::move(content));
  }

 private:
  TableContent make() const {
    switch (generate_.set) {
      case job::Generated::digits: return digits();
      case job::Generated::blobs: return blobs();
      case job::Generated::line: return line();
    }
    fail(Kind::internal, "unknown generated set");
  }

  Index width() const { return generate_.set == job::Generated::digits ? digit_pixels : generate_.features; }
  Index classes() const { return generated_classes(generate_); }

  TableContent digits() const {
    TableContent content;
    content.kind = Table::Kind::bytes;
    const auto pixels = std::make_shared<std::string>(static_cast<std::size_t>(rows_ * digit_pixels), '\0');
    content.bytes = *pixels;
    content.bytes_owner = pixels;
    content.targets.reserve(static_cast<std::size_t>(rows_));
    Classes classes_of(seed_, classes());
    auto* at = reinterpret_cast<unsigned char*>(pixels->data());
    for (Index row = first_; row < first_ + rows_; ++row, at += digit_pixels) {
      const Index digit = classes_of.of(row);
      draw_digit(seed_, row, digit, generate_.noise, at);
      content.targets.push_back(static_cast<double>(digit));
    }
    return content;
  }

  /// Normal clouds round one centre a class; `noise` is their deviation.
  TableContent blobs() const {
    const auto columns = static_cast<std::size_t>(width());
    const double spread = centre_distance / std::sqrt(2.0 * static_cast<double>(columns));
    std::vector<double> centres(columns * static_cast<std::size_t>(classes())), deviation(columns);
    for (Index c = 0; c < classes(); ++c)
      fill_normals(seed_, centre_draws, c, std::span(centres).subspan(static_cast<std::size_t>(c) * columns, columns));
    Classes classes_of(seed_, classes());
    TableContent content;
    content.values.reserve(static_cast<std::size_t>(rows_) * columns);
    for (Index row = first_; row < first_ + rows_; ++row) {
      const Index label = classes_of.of(row);
      const double* centre = centres.data() + static_cast<std::size_t>(label) * columns;
      fill_normals(seed_, feature_draws, row, deviation);
      for (std::size_t j = 0; j < columns; ++j)
        content.values.push_back(static_cast<float>(spread * centre[j] + generate_.noise * deviation[j]));
      content.targets.push_back(static_cast<double>(label));
    }
    return content;
  }

  /// target = features . weights / sqrt(features) + noise * normal, features and weights standard normal.
  TableContent line() const {
    const auto columns = static_cast<std::size_t>(width());
    std::vector<double> weights(columns), drawn(columns + 1);
    fill_normals(seed_, weight_draws, 0, weights);
    TableContent content;
    content.values.reserve(static_cast<std::size_t>(rows_) * columns);
    for (Index row = first_; row < first_ + rows_; ++row) {
      fill_normals(seed_, feature_draws, row, drawn);
      double sum = 0;
      for (std::size_t j = 0; j < columns; ++j) {
        sum += drawn[j] * weights[j];
        content.values.push_back(static_cast<float>(drawn[j]));
      }
      content.targets.push_back(sum / std::sqrt(static_cast<double>(columns)) + generate_.noise * drawn[columns]);
    }
    return content;
  }

  job::Generate generate_;
  std::uint64_t seed_;
  Index first_, rows_;
};

}  // namespace

Index generated_class(std::uint64_t seed, Index row, Index classes) { return Classes(seed, classes).of(row); }

Index generated_classes(const job::Generate& generate) {
  return generate.set == job::Generated::digits ? 10 : generate.classes;
}

Table generated_table(const job::Generate& generate, std::uint64_t seed, Part part, bool make_rows) {
  return Generator(generate, seed, part).table(make_rows);
}

}  // namespace dtrain::data
