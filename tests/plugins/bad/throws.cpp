// A layer z = a that throws where it is told to. The SDK turns what is thrown into a status and a message.
#include <algorithm>
#include <stdexcept>

#include "backplane/plugin.hpp"

namespace {

const char* const kPlaces[] = {"nowhere", "plan", "pack", "forward", "backward", nullptr};
const char* const kThings[] = {"exception", "bad_alloc", "int", "error", "unsupported", nullptr};

struct Throws {
  std::string where = "nowhere";
  std::string what = "exception";

  static void describe(bp::About<Throws>& about) {
    about.name("throws").summary("z = a, or nothing");
    about.attribute("where", &Throws::where, "the function that throws").one_of(kPlaces);
    about.attribute("what", &Throws::what, "what it throws").one_of(kThings);
  }
  void throw_if(const char* place) const {
    if (where != place) return;
    if (what == "bad_alloc") throw std::bad_alloc();
    if (what == "int") throw 42;
    if (what == "error") throw bp::Error("the input is not to its taste");
    if (what == "unsupported") throw bp::Error("it cannot do this yet", BP_E_UNSUPPORTED);
    throw std::runtime_error("something broke");
  }
  void plan(bp::Plan& plan) const {
    throw_if("plan");
    plan.output(plan.input(0));
    plan.packed(1);
  }
  template <class T>
  void pack(const bp::Call<T>&) const {
    throw_if("pack");
  }
  template <class T>
  void forward(const bp::Call<T>& call) const {
    throw_if("forward");
    std::copy_n(call.input(0).data(), call.output().size(), call.output().data());
  }
  template <class T>
  void backward(const bp::Call<T>& call) const {
    throw_if("backward");
    if (const auto d_a = call.d_input(0)) std::copy_n(call.delta().data(), d_a.size(), d_a.data());
  }
};

}  // namespace

BP_PLUGIN("test.throws", "0.1.0", "MIT", "throws", bp::layers<Throws>, bp::activations<>)
