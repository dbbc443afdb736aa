(* bitwright_weights = "1", bitwright_offset = "0", bitwright_is_bit = "1" *)
module neuron11 (
  input [10:0] in,
  output [0:0] out
);
  wire w11;
  or u0 (w11, in[0], in[1], in[2]);
  wire w12;
  MAJ3 u1 (.a(in[0]), .b(in[1]), .c(in[2]), .y(w12));
  wire w13;
  and u2 (w13, in[0], in[1], in[2]);
  wire w14;
  or u3 (w14, in[3], in[4], in[5]);
  wire w15;
  MAJ3 u4 (.a(in[3]), .b(in[4]), .c(in[5]), .y(w15));
  wire w16;
  and u5 (w16, in[3], in[4], in[5]);
  wire w17;
  and u6 (w17, w13, w14);
  wire w18;
  and u7 (w18, w12, w15);
  wire w19;
  and u8 (w19, w11, w16);
  wire w20;
  or u9 (w20, w17, w18, w19);
  wire w21;
  and u10 (w21, w11, w14);
  wire w22;
  or u11 (w22, w12, w15, w21);
  wire w23;
  and u12 (w23, w13, w16);
  wire w24;
  MUX2 u13 (.s(w20), .a(w23), .b(w22), .y(w24));
  wire w25;
  xor u14 (w25, in[0], in[1], in[2]);
  wire w26;
  xor u15 (w26, in[3], in[4], in[5]);
  wire w27;
  xor u16 (w27, w25, w26);
  wire w28;
  or u17 (w28, in[6], in[7], in[8]);
  wire w29;
  MAJ3 u18 (.a(in[6]), .b(in[7]), .c(in[8]), .y(w29));
  wire w30;
  and u19 (w30, in[6], in[7], in[8]);
  wire w31;
  or u20 (w31, in[9], in[10], w27);
  wire w32;
  MAJ3 u21 (.a(in[9]), .b(in[10]), .c(w27), .y(w32));
  wire w33;
  and u22 (w33, in[9], in[10], w27);
  wire w34;
  and u23 (w34, w30, w31);
  wire w35;
  and u24 (w35, w29, w32);
  wire w36;
  and u25 (w36, w28, w33);
  wire w37;
  or u26 (w37, w34, w35, w36);
  wire w38;
  and u27 (w38, w28, w31);
  wire w39;
  or u28 (w39, w29, w32, w38);
  wire w40;
  and u29 (w40, w30, w33);
  wire w41;
  MUX2 u30 (.s(w37), .a(w40), .b(w39), .y(w41));
  wire w42, w43;
  HA u31 (.a(w24), .b(w41), .s(w42), .co(w43));
  wire w44, w45;
  FA u32 (.a(w20), .b(w37), .c(w43), .s(w44), .co(w45));
  wire w46;
  and u33 (w46, w44, w42);
  wire w47;
  or u34 (w47, w45, w46);
  assign out[0] = w47;
endmodule

module MAJ3 (input a, input b, input c, output y);
  assign y = a & b | a & c | b & c;
endmodule

module MUX2 (input s, input a, input b, output y);
  assign y = s ? a : b;
endmodule

module HA (input a, input b, output s, output co);
  assign s = a ^ b;
  assign co = a & b;
endmodule

module FA (input a, input b, input c, output s, output co);
  assign s = a ^ b ^ c;
  assign co = a & b | a & c | b & c;
endmodule
