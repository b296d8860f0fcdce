// Messages that are made up for tests, and compared field by field.
//
// kFieldCount says how many fields a type has, and does not compile when one is added that
// would be neither made up nor compared.
//
//   const Message message = random_message(type, seed);   // type: place in Body
//   EXPECT_TRUE(same(*decode(encode(message)), message));
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "evergrove/base/bytes.h"
#include "evergrove/base/hash.h"
#include "evergrove/cluster/message.h"

namespace evergrove::cluster {

inline constexpr size_t kTypeCount = std::variant_size_v<Body>;

// Of structs whose fields all travel; 0: of nothing that has fields.
template <class T>
inline constexpr int kFieldCount = 0;
template <>
inline constexpr int kFieldCount<trees::Sums> = 3;
template <>
inline constexpr int kFieldCount<trees::Split> = 6;
template <>
inline constexpr int kFieldCount<train::RoundingTally> = 3;
template <>
inline constexpr int kFieldCount<Expansion::Child> = 5;
template <>
inline constexpr int kFieldCount<Expansion> = 4;
template <>
inline constexpr int kFieldCount<FinishedTree> = 2;
template <>
inline constexpr int kFieldCount<TreeState> = 5;
template <>
inline constexpr int kFieldCount<Round> = 9;
template <>
inline constexpr int kFieldCount<Level> = 2;
template <>
inline constexpr int kFieldCount<Level::Node> = 2;
template <>
inline constexpr int kFieldCount<Member> = 3;
template <>
inline constexpr int kFieldCount<View> = 4;
template <>
inline constexpr int kFieldCount<Join> = 5;
template <>
inline constexpr int kFieldCount<Loaded> = 1;
template <>
inline constexpr int kFieldCount<LoadFailed> = 2;
template <>
inline constexpr int kFieldCount<Facts> = 5;
template <>
inline constexpr int kFieldCount<NodeSplit> = 2;
template <>
inline constexpr int kFieldCount<Splits> = 6;
template <>
inline constexpr int kFieldCount<Heartbeat> = 3;
template <>
inline constexpr int kFieldCount<LoadShards> = 3;
template <>
inline constexpr int kFieldCount<Plan> = 6;
template <>
inline constexpr int kFieldCount<NextRound> = 2;
template <>
inline constexpr int kFieldCount<Goodbye> = 1;
template <>
inline constexpr int kFieldCount<Part::Node> = 3;
template <>
inline constexpr int kFieldCount<Part> = 5;

template <class T>
auto fields_of(T& value) {
  constexpr int kCount = kFieldCount<std::remove_const_t<T>>;
  if constexpr (kCount == 1) {
    auto& [a] = value;
    return std::tie(a);
  } else if constexpr (kCount == 2) {
    auto& [a, b] = value;
    return std::tie(a, b);
  } else if constexpr (kCount == 3) {
    auto& [a, b, c] = value;
    return std::tie(a, b, c);
  } else if constexpr (kCount == 4) {
    auto& [a, b, c, d] = value;
    return std::tie(a, b, c, d);
  } else if constexpr (kCount == 5) {
    auto& [a, b, c, d, e] = value;
    return std::tie(a, b, c, d, e);
  } else if constexpr (kCount == 6) {
    auto& [a, b, c, d, e, f] = value;
    return std::tie(a, b, c, d, e, f);
  } else if constexpr (kCount == 7) {
    auto& [a, b, c, d, e, f, g] = value;
    return std::tie(a, b, c, d, e, f, g);
  } else if constexpr (kCount == 8) {
    auto& [a, b, c, d, e, f, g, h] = value;
    return std::tie(a, b, c, d, e, f, g, h);
  } else if constexpr (kCount == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = value;
    return std::tie(a, b, c, d, e, f, g, h, i);
  } else {
    static_assert(std::is_empty_v<T>, "say how many fields it has");
    return std::tuple<>();
  }
}

// ---- made up

class Dice {
 public:
  explicit Dice(uint64_t seed) : key_(seed, "messages") {}
  uint64_t bits() { return key_.at(counter_++); }
  uint64_t below(uint64_t limit) { return bits() % limit; }

 private:
  RandomKey key_;
  uint64_t counter_ = 0;
};

inline model::Tree random_tree(Dice& dice) {
  model::Tree tree;
  tree.output = static_cast<uint32_t>(dice.below(3));
  tree.nodes.resize(1);
  const size_t splits = dice.below(5);
  for (size_t i = 0; i < splits; ++i) {
    model::Node& node = tree.nodes[i];
    node.feature = static_cast<int32_t>(dice.below(9));
    node.threshold = i % 2 == 0 ? 0.25 * static_cast<double>(dice.below(999)) : 0;
    if (i % 2 == 1) node.categories_left = {1, 4, 7};
    node.missing_left = dice.below(2) == 1;
    node.left = static_cast<int32_t>(tree.nodes.size());
    node.right = node.left + 1;
    node.gain = 0.5 + static_cast<double>(dice.below(999));
    tree.nodes.resize(tree.nodes.size() + 2);
  }
  for (model::Node& node : tree.nodes) {
    node.cover = dice.bits();
    if (node.feature < 0) node.value = static_cast<int64_t>(dice.bits());
  }
  return tree;
}

inline train::MetricSummary random_summary(Dice& dice) {
  std::vector<int64_t> margins(dice.below(6));
  std::vector<uint16_t> classes(margins.size());
  for (size_t row = 0; row < margins.size(); ++row) {
    margins[row] = static_cast<int64_t>(dice.bits()) >> dice.below(60);
    classes[row] = static_cast<uint16_t>(dice.below(2));
  }
  std::vector<std::string> names;
  for (const char* name : {"auc", "log_loss", "rmse", "precision_at_3"}) {
    if (dice.below(2) == 0) names.push_back(name);
  }
  train::MetricInput input;
  input.margins = margins;
  input.classes = classes;
  return train::MetricSummary::of(names, input);
}

struct Fill {
  Dice& dice;

  void operator()(bool& value) { value = dice.below(2) == 1; }
  void operator()(uint32_t& value) { value = static_cast<uint32_t>(dice.bits() >> dice.below(64)); }
  void operator()(uint64_t& value) { value = dice.bits() >> dice.below(64); }
  void operator()(int32_t& value) { value = static_cast<int32_t>(dice.bits()) >> dice.below(32); }
  void operator()(int64_t& value) { value = static_cast<int64_t>(dice.bits()) >> dice.below(64); }
  void operator()(double& value) {
    constexpr double kNumbers[] = {0,
                                   0.1,
                                   1e300,
                                   std::numeric_limits<double>::denorm_min(),
                                   std::numeric_limits<double>::max(),
                                   std::numeric_limits<double>::infinity()};
    value = kNumbers[dice.below(std::size(kNumbers))];
  }
  void operator()(std::string& value) {
    value.resize(dice.below(30));
    for (char& c : value) c = static_cast<char>(dice.bits());
  }
  void operator()(Bytes& value) {
    std::string bytes;
    (*this)(bytes);
    value = Bytes::of(std::move(bytes));
  }
  void operator()(RoundKind& value) { value = static_cast<RoundKind>(dice.below(4)); }
  void operator()(model::Tree& value) { value = random_tree(dice); }
  void operator()(train::MetricSummary& value) { value = random_summary(dice); }
  void operator()(train::GradientScale& value) {
    value = {.wide = dice.below(2) == 1, .g_max = dice.below(2) == 1 ? 1.0 : 0x1.8p-40};
  }
  template <class T>
  void operator()(std::vector<T>& values) {
    values.resize(dice.below(4));
    for (T& value : values) (*this)(value);
  }
  template <class T>
  void operator()(std::optional<T>& value) {
    if (dice.below(2) == 1) (*this)(value.emplace());
  }
  void operator()(View& view) {
    (*this)(view.number);
    (*this)(view.members);
    view.block_owners.resize(view.members.empty() ? 0 : dice.below(5));
    for (uint32_t& owner : view.block_owners) {
      owner = static_cast<uint32_t>(dice.below(view.members.size()));
    }
    (*this)(view.fan_in);
  }
  template <class T>
  void operator()(T& value) {
    std::apply([this](auto&... fields) { ((*this)(fields), ...); }, fields_of(value));
  }
};

template <size_t... kIndex>
Body empty_body(size_t type, std::index_sequence<kIndex...>) {
  Body body;
  (void)((type == kIndex && (body.emplace<kIndex>(), true)) || ...);
  return body;
}
inline Body empty_body(size_t type) {
  return empty_body(type, std::make_index_sequence<kTypeCount>());
}

inline Message random_message(size_t type, uint64_t seed) {
  Dice dice(seed);
  Message message{dice.bits(), empty_body(type)};
  std::visit([&](auto& body) { Fill{dice}(body); }, message.body);
  return message;
}

// ---- compared

// In a struct so that each overload sees all.
struct Same {
  template <class T>
  static bool of(const std::vector<T>& a, const std::vector<T>& b) {
    bool equal = a.size() == b.size();
    for (size_t i = 0; equal && i < a.size(); ++i) equal = of(a[i], b[i]);
    return equal;
  }
  template <class T>
  static bool of(const std::optional<T>& a, const std::optional<T>& b) {
    return a.has_value() == b.has_value() && (!a || of(*a, *b));
  }
  // Trees and summaries have a codec, with tests of its own.
  static bool of(const model::Tree& a, const model::Tree& b) {
    ByteWriter of_a, of_b;
    model::write_tree(a, of_a);
    model::write_tree(b, of_b);
    return of_a.bytes() == of_b.bytes();
  }
  static bool of(const train::MetricSummary& a, const train::MetricSummary& b) {
    ByteWriter of_a, of_b;
    a.encode(of_a);
    b.encode(of_b);
    return of_a.bytes() == of_b.bytes();
  }
  static bool of(const Body& a, const Body& b) {
    return a.index() == b.index() &&
           std::visit(
               [&](const auto& body) {
                 return of(body, std::get<std::decay_t<decltype(body)>>(b));
               },
               a);
  }
  template <class T>
  static bool of(const T& a, const T& b) {
    if constexpr (kFieldCount < T >> 0 || std::is_empty_v<T>) {
      const auto of_a = fields_of(a);
      const auto of_b = fields_of(b);
      return of_fields(of_a, of_b, std::make_index_sequence<std::tuple_size_v<decltype(of_a)>>());
    } else {
      return a == b;
    }
  }
  template <class Fields, size_t... kIndex>
  static bool of_fields(const Fields& a, const Fields& b, std::index_sequence<kIndex...>) {
    return (of(std::get<kIndex>(a), std::get<kIndex>(b)) && ...);
  }
};

inline bool same(const Message& a, const Message& b) {
  return a.epoch == b.epoch && Same::of(a.body, b.body);
}

}  // namespace evergrove::cluster
