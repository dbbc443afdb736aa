(* bitwright_weights = "2 4", bitwright_offset = "1" *)
module majority9 (
  input [8:0] in,
  output [1:0] out
);
  wire w9;
  MAJ3 u0 (.a(in[0]), .b(in[1]), .c(in[2]), .y(w9));
  wire w10;
  MAJ3 u1 (.a(in[3]), .b(in[4]), .c(in[5]), .y(w10));
  wire w11;
  MAJ3 u2 (.a(in[6]), .b(in[7]), .c(in[8]), .y(w11));
  wire w12, w13;
  FA u3 (.a(w9), .b(w10), .c(w11), .s(w12), .co(w13));
  assign out[0] = w12;
  assign out[1] = w13;
endmodule

module MAJ3 (input a, input b, input c, output y);
  assign y = a & b | a & c | b & c;
endmodule

module FA (input a, input b, input c, output s, output co);
  assign s = a ^ b ^ c;
  assign co = a & b | a & c | b & c;
endmodule
