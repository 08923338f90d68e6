// Attention: numbers from PyTorch 2.13 in float64 (nn.MultiheadAttention, batch first), gradients against differences,
// and what must not be seen: later steps, padding.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "plugins/bench.h"
#include "plugins/gradients.h"

namespace backplane {
namespace {

using testing::expect_close;
using testing::expect_true_gradients;
using testing::LayerBench;
using testing::Numbers;

enum Parameter : std::size_t { kWQkv, kBQkv, kWOut, kBOut };
enum Saved : std::size_t { kQkv, kAttention, kContext, kDeltaQkv };

BP_IN_BOTH_TYPES(Attention);

/// sin(k), sin(2k), sin(3k), …: what both sides were given.
Numbers sines(std::size_t count, double k) {
  Numbers numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = std::sin(k * static_cast<double>(i + 1));
  return numbers;
}

/// N = 2, T = 3, E = 4, 2 heads; of ∂C/∂W_qkv, one row each of queries, keys and values.
struct Case {
  const char* yaml;
  std::vector<std::int64_t> lengths;
  Numbers z, attention, d_a, d_W_query, d_W_key, d_W_value, d_b_qkv, d_W_out, d_b_out;
};

const Case kCausal{
    "causal: true",
    {},
    {-0.384987344015864, -0.425431709711492, -3.29614028014881, -3.53045704620596,  0.178010312449618,
     1.23017270354893,   -1.06496126016471,  -1.42048296215745, -0.378707592112267, -0.356007460420322,
     -3.18525217685963,  -3.41273456562331,  -1.25932963381258, 0.879903742248376,  -0.21877301313169,
     0.35790460332654,   -2.01366231436453,  -1.75239092502176, -3.90698488363239,  -3.2344251045357,
     -0.592318293103851, 1.8565998114459,    0.762593335101173, 1.03746828997532},
    {1, 0, 0, 0.371736143058041,  0.628263856941959, 0, 0.979521879497151, 0.0204490900932306, 2.90304096186886e-05,
     1, 0, 0, 0.583907363664404,  0.416092636335596, 0, 0.749200387107444, 0.185027342522948,  0.0657722703696078,
     1, 0, 0, 0.0285999117675368, 0.971400088232463, 0, 0.909262856139593, 0.082226833098487,  0.00851031076191971,
     1, 0, 0, 0.639397853606315,  0.360602146393685, 0, 0.485839742038259, 0.0980755778203703, 0.416084680141371},
    {0.233321645403887,  7.68517890097344,   8.07131811700637,   1.03672467905422,    0.83095096651409,
     2.07226249551137,   1.40834544286363,   -0.550397915035162, -0.0152043186484891, 0.0203086912412923,
     0.0371499840621578, 0.0198357528622046, -1.51234411700772,  -7.30143369949973,   -6.37761881095838,
     0.409749400482066,  2.43197029330874,   -1.64477300057804,  -4.20931958299269,   -2.90383715307569,
     0.565959980899526,  0.842237466155303,  0.344165709204973,  -0.470330413586922},
    {-0.353927814030227, -1.21684798352488, -0.336419702736148, 1.02598888730283},
    {-0.476139635821667, 0.0605874294876032, 0.510512361141772, 0.229038674647331},
    {-7.42181143637533, -7.46310579780412, 3.18780963447855, 9.27162789331795},
    {1.02479905896413, -2.25437777188476, 0.494641190071872, -0.605745563035778, 0, 0, 0, 0, -0.643111599404823,
     0.644766114590532, -0.633515631608876, 0.609585328953226},
    {6.16769551604743, -2.5854024506076, -2.17858125365504, 6.31435453521299, 6.16485801655199, -2.73819618295539,
     -1.99597764118886, 6.67006902542197, 5.67093146177562, -2.67286677717883, -1.65437559412102, 6.4944496410213,
     4.72526175790337, -2.39461833628868, -1.18098693568024, 5.8014861214896},
    {0.0125599018763196, -0.120069979908632, -0.243135155930269, -0.346832324820065},
};
const Case kPadded{
    "causal: false",
    {2, 3},
    {0.521341964456623,
     2.18603386075498,
     0.204921530842177,
     -0.233152878728648,
     0.178010312449618,
     1.23017270354893,
     -1.06496126016471,
     -1.42048296215745,
     0,
     0,
     0,
     0,
     -1.16706160411308,
     -1.71639136098897,
     -4.69282884464042,
     -4.59669974345378,
     -1.20278230653919,
     -1.76256375911477,
     -4.73503366409957,
     -4.62175675328437,
     -0.592318293103851,
     1.8565998114459,
     0.762593335101173,
     1.03746828997532},
    {0.0696778446989301,
     0.93032215530107,
     0,
     0.371736143058041,
     0.628263856941959,
     0,
     0,
     0,
     0,
     0.158173432691186,
     0.841826567308814,
     0,
     0.583907363664404,
     0.416092636335596,
     0,
     0,
     0,
     0,
     3.88489406775379e-08,
     9.41304312169151e-05,
     0.999905830719842,
     0.000239680205402755,
     0.00814077241105644,
     0.991619547383541,
     0.909262856139593,
     0.082226833098487,
     0.00851031076191971,
     0.016344964356672,
     0.0504426679083126,
     0.933212367735015,
     0.0566618389489852,
     0.0319556605146157,
     0.911382500536399,
     0.485839742038259,
     0.0980755778203703,
     0.416084680141371},
    {2.85115180483174,
     4.54645054401487,
     2.06176362006164,
     -2.31849926786617,
     -1.24818511967873,
     4.76832017615461,
     6.40085389226655,
     2.14847205887874,
     0,
     0,
     0,
     0,
     -0.225352823318264,
     1.28275263561503,
     1.61150123708073,
     0.45864303299313,
     0.832305151753922,
     1.20965999316874,
     0.47485901549709,
     -0.696525151098031,
     2.13324949524327,
     -8.89269190304139,
     -11.7427333764197,
     -3.79655993790724},
    {-0.591143337414534, -1.22539078277432, -0.104050717561982, 1.16636027488903},
    {-0.759693224722712, 0.213052439178234, 0.88056306575385, 0.286512448161638},
    {2.16328148114353, -3.99659525908073, -4.43064737234915, 1.48298102576581},
    {1.36221682379528, -3.01359286162265, 1.16476589433655, 1.15787020818533, 0, 0, 0, 0, -0.585281545254888,
     0.466124106493208, -0.337637190570838, 0.202392463983561},
    {-0.6559566045991, 2.43417308477622, -2.05086908198034, 0.490336658920411, -0.934249970945094, 2.69646752279274,
     -2.25412768435837, 0.939500171463691, -1.13812152021179, 2.7439629038304, -2.27782376769347, 1.31382363896431,
     -1.25133096166432, 2.57287577306487, -2.12006971557214, 1.58348866860109},
    {0.571348950727936, 0.184740641193585, -0.216584001906303, -0.600655687582101},
};

TEST_P(Attention, IsPyTorchs) {
  for (const Case& want : {kCausal, kPadded}) {
    SCOPED_TRACE(want.yaml);
    const double tolerance = dtype() == DType::float32 ? 1e-5 : 1e-12;
    LayerBench attention("attention", std::string("{heads: 2, ") + want.yaml + "}", {{3, 4}}, 2, dtype());
    attention.parameter(kWQkv, sines(48, 1)).parameter(kBQkv, sines(12, 2));
    attention.parameter(kWOut, sines(16, 3)).parameter(kBOut, sines(4, 4));
    attention.lengths(want.lengths).in_slices_of(1).input(0, sines(24, 5));
    expect_close(attention.forward(), want.z, tolerance, "z");
    expect_close(attention.saved(kAttention), want.attention, tolerance, "attention");
    const auto gradients = attention.backward(sines(24, 6));
    expect_close(gradients.inputs[0], want.d_a, tolerance, "gradient of the input");
    const auto row = [&](std::ptrdiff_t o) {
      const auto begin = gradients.parameters[kWQkv].begin() + 4 * o;
      return Numbers(begin, begin + 4);
    };
    // The bench adds parameters' gradients to 100, which costs float32 three digits.
    const double coarse = dtype() == DType::float32 ? 1e-4 : 1e-12;
    expect_close(row(0), want.d_W_query, coarse, "gradient of W_qkv, row 0");
    expect_close(row(5), want.d_W_key, coarse, "gradient of W_qkv, row 5");
    expect_close(row(11), want.d_W_value, coarse, "gradient of W_qkv, row 11");
    expect_close(gradients.parameters[kBQkv], want.d_b_qkv, coarse, "gradient of b_qkv");
    expect_close(gradients.parameters[kWOut], want.d_W_out, coarse, "gradient of W_out");
    expect_close(gradients.parameters[kBOut], want.d_b_out, coarse, "gradient of b_out");
  }
}

TEST_P(Attention, OneStepByHand) {
  // One step sees itself alone: z = W_out·v = W_out·(W_v·a) with W_v = ( 0 2 ; 3 0 ) and W_out = ( 1 1 ; 0 −1 ).
  LayerBench attention("attention", "{heads: 1, bias: false}", {{1, 2}}, 1, dtype());
  EXPECT_EQ(attention.plan().parameters.size(), 2u);
  attention.input(0, {5, 7}).parameter(kWQkv, {9, 8, 7, 6, 5, 4, 3, 2, 0, 2, 3, 0}).parameter(kWOut, {1, 1, 0, -1});
  EXPECT_EQ(attention.forward(), (Numbers{29, -15}));
  const auto gradients = attention.backward({1, 2});
  EXPECT_EQ(gradients.inputs[0], (Numbers{-3, 2}));  // W_vᵀ·W_outᵀ·δ = W_vᵀ·(1, −1)
  EXPECT_EQ(gradients.parameters[kWQkv], (Numbers{0, 0, 0, 0, 0, 0, 0, 0, 5, 7, -5, -7}));
  EXPECT_EQ(gradients.parameters[kWOut], (Numbers{14, 15, 28, 30}));
  EXPECT_EQ(attention.saved(kDeltaQkv), (Numbers{0, 0, 0, 0, 1, -1}));
}

TEST_P(Attention, CausalStepsDoNotSeeTheFuture) {
  LayerBench attention("attention", "{heads: 2, causal: true}", {{6, 4}}, 1, dtype());
  const auto operands = testing::fill(attention, {});
  const Numbers before = attention.forward();
  Numbers changed = operands.inputs[0];
  for (std::size_t i = 4 * 4; i < changed.size(); ++i) changed[i] += 1.0;  // steps 4 and 5
  attention.input(0, changed);
  const Numbers after = attention.forward();
  EXPECT_EQ(Numbers(after.begin(), after.begin() + 16), Numbers(before.begin(), before.begin() + 16));
  EXPECT_NE(after[16], before[16]);
}

TEST_P(Attention, PaddingChangesNothing) {
  for (const char* yaml : {"{heads: 2}", "{heads: 2, causal: true}"}) {
    LayerBench attention("attention", yaml, {{5, 4}}, 3, dtype());
    attention.lengths({3, 5, 0});
    const auto operands = testing::fill(attention, {});
    const auto run = [&](double padding) {
      Numbers a = operands.inputs[0], delta = operands.delta;
      for (const auto& [begin, end] : {std::pair{12, 20}, {40, 60}})
        for (int i = begin; i < end; ++i) a[static_cast<std::size_t>(i)] = delta[static_cast<std::size_t>(i)] = padding;
      attention.input(0, a);
      const Numbers z = attention.forward();
      const auto gradients = attention.backward(delta);
      return std::vector<Numbers>{z,
                                  gradients.inputs[0],
                                  gradients.parameters[kWQkv],
                                  gradients.parameters[kBQkv],
                                  gradients.parameters[kWOut],
                                  gradients.parameters[kBOut]};
    };
    const auto results = run(3.0);
    EXPECT_EQ(run(-50.0), results);
    for (std::size_t i = 12; i < 20; ++i) EXPECT_EQ(results[0][i], 0.0);
    for (std::size_t i = 40; i < 60; ++i) EXPECT_EQ(results[1][i], 0.0);
  }
}

TEST(AttentionGradients, OfAnyShape) {
  struct Size {
    std::int64_t T, E, heads;
  };
  std::uint64_t seed = 0;
  for (const Size& size : {Size{1, 1, 1}, {4, 3, 1}, {3, 4, 4}, {5, 6, 2}, {17, 4, 2}})
    for (const char* rest : {"", ", causal: true", ", bias: false"}) {
      const std::string yaml = "{heads: " + std::to_string(size.heads) + rest + "}";
      SCOPED_TRACE(yaml);
      LayerBench attention("attention", yaml, {{size.T, size.E}}, 2, DType::float64);
      expect_true_gradients(attention.in_slices_of(1), {.seed = ++seed});
    }
}

TEST(AttentionGradients, WithLengths) {
  for (const char* yaml : {"{heads: 2}", "{heads: 2, causal: true}"}) {
    LayerBench attention("attention", yaml, {{4, 4}}, 4, DType::float64);
    expect_true_gradients(attention.lengths({4, 1, 0, 3}).in_slices_of(3));
  }
}

TEST(AttentionErrors, NameTheShapes) {
  const auto error = [](const std::string& yaml, const Shape& input) {
    return testing::user_error_of([&] { LayerBench("attention", yaml, {input}, 1, DType::float32); });
  };
  EXPECT_NE(error("{heads: 4}", {5, 10}).find("cannot share 10 features among 4 heads evenly (input [5, 10])"),
            std::string::npos);
  EXPECT_NE(error("{heads: 1}", {28, 28, 1}).find("attends over sequences [T, E], got [28, 28, 1]"), std::string::npos);
}

}  // namespace
}  // namespace backplane
